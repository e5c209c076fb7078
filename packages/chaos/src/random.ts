import { defined } from '@cashflow/async'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

export type Random = ReturnType<typeof createRandom>

/** Random choices that a seed decides. The same seed gives the same choices in the same order. */
export function createRandom(seed: number) {
  const generator = xoroshiro128plus(seed)
  const int = (min: number, max: number) => uniformInt(generator, min, max)
  return {
    /** Returns an integer. Both bounds are included. */
    int,
    pick<Item>(items: readonly Item[]): Item {
      if (items.length === 0) throw new RangeError('an empty list has no item to pick')
      return defined(items[int(0, items.length - 1)], 'item of a list')
    },
    shuffled<Item>(items: readonly Item[]): Item[] {
      const deck = [...items]
      for (let last = deck.length - 1; last > 0; last--) {
        const other = int(0, last)
        ;[deck[last], deck[other]] = [defined(deck[other], 'item of a list'), defined(deck[last], 'item of a list')]
      }
      return deck
    },
    /** Returns true with this probability, from 0 to 1. */
    chance: (share: number) => int(0, 999_999) < share * 1_000_000,
  }
}

import { expect } from 'chai'
import fc from 'fast-check'
import { createSpanSearch, type SpanSearch } from '../src/index.ts'

/** Due times of the rows. */
interface Table {
  sound: number[]
  damaged: Set<number>
}

const NOW = 2 ** 50

describe('search for due rows', () => {
  let statements = 0

  /** Takes rows as a statement does: the oldest first, and none if a damaged one comes before the limit. */
  function searchOnce(search: SpanSearch, table: Table, batchMax: number): Promise<void> {
    statements = 0
    return search.run({
      batchMax,
      now: async () => NOW,
      async take(spans, max) {
        statements += 1
        const due = [...table.sound, ...table.damaged].sort((one, other) => one - other)
        const found = spans.flatMap(({ from, to }) => due.filter((at) => at >= from && at < to)).slice(0, max)
        if (found.some((at) => table.damaged.has(at))) return undefined
        table.sound = table.sound.filter((at) => !found.includes(at))
        return found.length
      },
    })
  }

  const times = (maxLength: number) => fc.uniqueArray(fc.integer({ min: 0, max: 10_000 }), { maxLength })

  // Promise 42
  it('takes all readable rows, wherever damaged ones lie, and the damaged ones once they are repaired', async () => {
    await fc.assert(
      fc.asyncProperty(times(60), times(20), fc.integer({ min: 1, max: 50 }), async (sound, damaged, batchMax) => {
        const both = new Set(damaged)
        const table = { sound: sound.filter((at) => !both.has(at)), damaged: both }
        const search = createSpanSearch()
        for (let turn = 0; turn < 200 && (table.sound.length > 0 || turn === 0); turn += 1) {
          await searchOnce(search, table, batchMax)
          expect(statements).to.be.at.most(100)
        }
        expect(table.sound).to.deep.equal([])
        table.sound = [...both]
        table.damaged = new Set()
        for (let turn = 0; turn < 200 && table.sound.length > 0; turn += 1) await searchOnce(search, table, batchMax)
        expect(table.sound).to.deep.equal([])
        await searchOnce(search, table, batchMax)
        expect(search.blindSpots).to.equal(0)
      }),
    )
  })

  it('makes a single statement when all rows can be read', async () => {
    const search = createSpanSearch()
    await searchOnce(search, { sound: [1, 2, 3], damaged: new Set() }, 100)
    expect(statements).to.equal(1)
    expect(search.blindSpots).to.equal(0)
  })

  it('remembers unreadable rows, so that each further search makes two statements', async () => {
    const search = createSpanSearch()
    const table = { sound: [], damaged: new Set([5, 5_000]) }
    for (let turn = 0; turn < 10; turn += 1) await searchOnce(search, table, 100)
    expect(search.blindSpots).to.equal(2)
    expect(statements, 'all else, and one of the two again').to.equal(2)
  })

  it('tries unreadable rows again no earlier than after `againMs`', async () => {
    let at = 0
    const search = createSpanSearch({ againMs: 5_000, clock: () => at })
    const table = { sound: [], damaged: new Set([5]) }
    const made: number[] = []
    for (; at <= 6_000; at += 1_000) {
      await searchOnce(search, table, 100)
      made.push(statements)
    }
    expect(made.slice(1)).to.deep.equal([1, 1, 1, 1, 2, 1])
  })

  it('takes at most `batchMax` rows at a time', async () => {
    const table = { sound: Array.from({ length: 95 }, (_, at) => at * 2), damaged: new Set([191]) }
    await searchOnce(createSpanSearch(), table, 10)
    expect(table.sound).to.have.length(85)
  })
})

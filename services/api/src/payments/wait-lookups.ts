import { defined, pause } from '@cashflow/async'
import { isPermanent, mayBeItemsOwn, type PaymentName, type PaymentView } from '@cashflow/db'
import type { createCondition } from '@cashflow/runtime'

/** Payments in one statement, each with up to 100 kB of metadata. */
const BATCH_MAX = 100
const RETRY_MS = 200

export interface WaitLookupsOptions<Wait> {
  /** Finds payments in one statement, in their order. */
  find(waits: readonly Wait[]): Promise<readonly (PaymentView | undefined)[]>
  onFound(wait: Wait, payment: PaymentView | undefined): void
  /** Called if PostgreSQL cannot answer for this payment, but for others. */
  onFailed(wait: Wait, error: unknown): void
  /** The condition that PostgreSQL answers no look-up. */
  failing: ReturnType<typeof createCondition>
}

/**
 * Looks up the payments that requests wait for, in one statement at a time: those that were asked for while one runs share
 * the next one. While PostgreSQL is away it tries again. A request that cannot wait for that is taken out with `forget`.
 */
export function createWaitLookups<Wait extends PaymentName & { readonly isEnded: boolean }>({
  find,
  onFound,
  onFailed,
  failing,
}: WaitLookupsOptions<Wait>) {
  const asked = new Set<Wait>()
  let isRunning = false

  async function look(waits: readonly Wait[]): Promise<void> {
    const found = await find(waits)
    for (const [place, wait] of waits.entries()) onFound(wait, found[place])
  }

  async function run(): Promise<void> {
    while (asked.size > 0) {
      const batch = [...asked].slice(0, BATCH_MAX)
      for (const wait of batch) asked.delete(wait)
      try {
        await withoutCulprits(batch, look, onFailed)
        failing.ended()
      } catch (error) {
        failing.holds({ error })
        for (const wait of batch) if (!wait.isEnded) asked.add(wait)
        await pause(RETRY_MS)
      }
    }
    isRunning = false
  }

  return {
    ask(wait: Wait): void {
      asked.add(wait)
      if (isRunning) return
      isRunning = true
      void run()
    },
    forget(wait: Wait): void {
      asked.delete(wait)
    },
  }
}

/**
 * Works on all items at once. Where an item causes PostgreSQL's error, such as one with a damaged row, it divides the items
 * until it has found that one, so that the others are worked on.
 *
 * @throws an error that no item causes
 */
export async function withoutCulprits<Item>(
  items: readonly Item[],
  work: (items: readonly Item[]) => Promise<void>,
  onFailed: (item: Item, error: unknown) => void,
): Promise<void> {
  try {
    await work(items)
  } catch (error) {
    if (!isPermanent(error) && !mayBeItemsOwn(error)) throw error
    if (items.length === 1) return onFailed(defined(items[0], 'item'), error)
    const middle = Math.ceil(items.length / 2)
    await withoutCulprits(items.slice(0, middle), work, onFailed)
    await withoutCulprits(items.slice(middle), work, onFailed)
  }
}

import { defined } from '@cashflow/async'
import { isPermanent, mayBeItemsOwn } from './errors.ts'

/** The result of an item that has to be committed alone, because another session has locked its row. */
export const ALONE = Symbol('alone')

export interface GroupCommitOptions<Item extends object, Result> {
  /**
   * Does the work of all items in one transaction, and resolves after its COMMIT with one result for each, in their order.
   * Unless the item is `alone`, it waits for no lock: an item whose row is locked gets the result `ALONE`.
   */
  commit(items: readonly Item[], alone: boolean): Promise<readonly (Result | typeof ALONE)[]>
  /** Maximum number of items in one transaction. */
  batchMax: number
  /** Maximum number of concurrent batches. A second one starts only if the first is slow, or small next to the queue. */
  writersMax: number
  /** Maximum number of concurrent transactions of a single item, in addition to the batches. */
  aloneMax: number
}

// One batch in flight is cheapest: while it commits, the callers of the previous one submit the next. A second concurrent
// batch makes both smaller and costs PostgreSQL more per item. So it starts only when the queue is this many times as long
// as the batches in flight.
const WAITING_TO_IN_FLIGHT = 3
/** A batch that takes longer counts as slow: it probably waits for a lock, and does not keep the next one from starting. */
const SLOW_AFTER_MS = 50

interface Waiting<Item, Result> {
  readonly item: Item
  readonly signal: AbortSignal | undefined
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * Lets concurrent callers share a transaction. An item that arrives while a batch commits joins the next batch. No item
 * waits for others to arrive: a single one is committed at once, and batches grow only with the load.
 *
 * An error that one item may have caused (a conflict, a permanent error, a damaged row) fails no other item. Each item of
 * that batch is committed again in a transaction of its own, and never in a batch again. The same is done with an item
 * whose row is locked, but not with the others of its batch.
 */
export function createGroupCommit<Item extends object, Result>({
  commit,
  batchMax,
  writersMax,
  aloneMax,
}: GroupCommitOptions<Item, Result>) {
  type Entry = Waiting<Item, Result>
  const aloneItems = new WeakSet<Item>()
  const batchWriters = createWriters<Entry>(batchMax, writersMax, (entries) => write(entries, false))
  const aloneWriters = createWriters<Entry>(1, aloneMax, (entries) => write(entries, true))

  /** @returns a function that gives the callers their results */
  async function write(entries: readonly Entry[], alone: boolean): Promise<() => void> {
    const wanted = entries.filter(isWanted)
    if (wanted.length === 0) return () => {}
    try {
      const items = wanted.map(({ item }) => item)
      const results = await commit(items, alone)
      if (results.length !== items.length) throw new Error(`bug: ${results.length} results for ${items.length} items`)
      return () => {
        for (const [index, result] of results.entries()) {
          const entry = defined(wanted[index], `item for result ${index}`)
          if (result === ALONE) writeAlone(entry)
          else entry.resolve(result)
        }
      }
    } catch (error) {
      return () => {
        for (const entry of wanted) fail(entry, error, wanted.length)
      }
    }
  }

  function writeAlone(entry: Entry): void {
    aloneItems.add(entry.item)
    aloneWriters.add(entry)
  }

  function fail(entry: Entry, error: unknown, count: number): void {
    const isOwn = mayConcernOneItem(error)
    if (isOwn) aloneItems.add(entry.item)
    if (isOwn && count > 1) aloneWriters.add(entry)
    else entry.reject(error)
  }

  return {
    /**
     * Commits an item, together with the other items in the queue. After a transient error the caller may repeat the call
     * with the same item. The work has to be idempotent, as in any transaction whose COMMIT may be in doubt.
     *
     * @throws what `commit` of the options throws, or the signal's reason if it aborts before the transaction begins
     */
    commit(item: Item, signal?: AbortSignal): Promise<Result> {
      return new Promise((resolve, reject) => {
        const writers = aloneItems.has(item) ? aloneWriters : batchWriters
        writers.add({ item, signal, resolve, reject })
      })
    },
  }
}

function isWanted<Item, Result>({ signal, reject }: Waiting<Item, Result>): boolean {
  if (signal?.aborted) reject(signal.reason)
  return !signal?.aborted
}

/** Writes entries in the order of their arrival, in batches of at most `batchMax`. */
function createWriters<Entry>(batchMax: number, writersMax: number, write: (entries: Entry[]) => Promise<() => void>) {
  const waiting: Entry[] = []
  let writing = 0
  /** Entries of the batches in flight that are not slow. */
  let inFlight = 0
  let isScheduled = false

  const mayBegin = () => waiting.length >= Math.min(batchMax, WAITING_TO_IN_FLIGHT * inFlight)

  function begin(): void {
    isScheduled = false
    while (waiting.length > 0 && writing < writersMax && mayBegin()) start(waiting.splice(0, batchMax))
  }

  function start(entries: Entry[]): void {
    let isSlow = false
    const slow = setTimeout(() => {
      isSlow = true
      inFlight -= entries.length
      begin()
    }, SLOW_AFTER_MS)
    writing += 1
    inFlight += entries.length
    void write(entries).then((giveResults) => {
      clearTimeout(slow)
      writing -= 1
      if (!isSlow) inFlight -= entries.length
      // First the next batch, then the callers: so PostgreSQL works while they do.
      begin()
      giveResults()
    })
  }

  return {
    add(entry: Entry): void {
      waiting.push(entry)
      if (isScheduled) return
      isScheduled = true
      // After everything that arrives in this turn of the event loop.
      setImmediate(begin)
    },
  }
}

const CONFLICTS = new Set([
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled: the statement took too long
])

/** True if a single item may have caused the error. All other errors are due to the server or the network. */
function mayConcernOneItem(error: unknown): boolean {
  if (isPermanent(error) || mayBeItemsOwn(error)) return true
  return error instanceof Error && 'code' in error && CONFLICTS.has(String(error.code))
}

import { isPermanent, mayBeItemsOwn } from './errors.ts'

/** The result of an item that has to be done alone: another session has locked its row. */
export const ALONE = Symbol('alone')

export interface GroupCommitOptions<Item extends object, Result> {
  /**
   * Does the work of all items in one transaction, and answers when it has committed: a result each, in their order. Where
   * the item is not `alone` it should wait for no lock, and answer `ALONE` for an item whose row is locked.
   */
  commit(items: readonly Item[], alone: boolean): Promise<readonly (Result | typeof ALONE)[]>
  /** Items in one transaction. */
  batchMax: number
  /** Such transactions at the same time, at most: one, unless it is held up or much more waits than it holds. */
  writersMax: number
  /** Transactions of a single item at the same time, beside those. */
  aloneMax: number
}

export interface GroupCommit<Item extends object, Result> {
  /**
   * Does the item's work, together with whatever else is there to be done. What is transient is the caller's to repeat,
   * with the same item: it has to be idempotent, as any transaction whose COMMIT may be in doubt.
   *
   * @throws what `commit` throws; or the signal's reason, when it has aborted before the work began
   */
  commit(item: Item, signal?: AbortSignal): Promise<Result>
}

// The callers of one batch get their answers, and come again, while the next one is with the database. Two at once are
// smaller, and cost the database more; a second one evens out what has become too unequal.
const WAITING_TO_WRITTEN = 3
const PATIENCE_MS = 50

interface Waiting<Item, Result> {
  readonly item: Item
  readonly signal: AbortSignal | undefined
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * Concurrent callers share a transaction: whoever comes while others are being written joins the batch that gathers. Nobody
 * waits for others to come: a lone caller is served at once, and batches grow only as far as the load makes them.
 *
 * What one item may have caused, a conflict, a fault or a damaged row, fails no other item: each item of that batch is done
 * again in a transaction of its own, and from then on never in a batch. So is an item whose row is locked, and it alone.
 */
export function createGroupCommit<Item extends object, Result>({
  commit,
  batchMax,
  writersMax,
  aloneMax,
}: GroupCommitOptions<Item, Result>): GroupCommit<Item, Result> {
  type Entry = Waiting<Item, Result>
  const suspects = new WeakSet<Item>()
  const batches = createWriters<Entry>(batchMax, writersMax, (waiting) => write(waiting, false))
  const singles = createWriters<Entry>(1, aloneMax, (waiting) => write(waiting, true))

  /** Answers with what is left to do: to tell the callers. */
  async function write(waiting: readonly Entry[], alone: boolean): Promise<() => void> {
    const wanted = waiting.filter(isWanted)
    if (wanted.length === 0) return () => {}
    try {
      const items = wanted.map(({ item }) => item)
      const results = await commit(items, alone)
      return () => {
        for (const [index, one] of wanted.entries()) {
          const result = results[index] as Result | typeof ALONE
          if (result !== ALONE) one.resolve(result)
          else {
            suspects.add(one.item)
            singles.add(one)
          }
        }
      }
    } catch (error) {
      return () => {
        for (const one of wanted) fail(one, error, wanted.length)
      }
    }
  }

  function fail(one: Entry, error: unknown, count: number): void {
    const isSuspect = isSuspicious(error)
    if (isSuspect) suspects.add(one.item)
    if (isSuspect && count > 1) singles.add(one)
    else one.reject(error)
  }

  return {
    commit(item, signal) {
      return new Promise((resolve, reject) => {
        const writers = suspects.has(item) ? singles : batches
        writers.add({ item, signal, resolve, reject })
      })
    },
  }
}

function isWanted<Item, Result>({ signal, reject }: Waiting<Item, Result>): boolean {
  if (signal?.aborted) reject(signal.reason)
  return !signal?.aborted
}

/** First come, first served. Another writer joins when a whole batch waits, or thrice what the others hold that are not held up. */
function createWriters<Entry>(batchMax: number, writersMax: number, write: (entries: Entry[]) => Promise<() => void>) {
  const waiting: Entry[] = []
  let writing = 0
  /** Entries with writers that are not held up. */
  let written = 0
  let beginning = false

  const mayBegin = () => waiting.length >= Math.min(batchMax, WAITING_TO_WRITTEN * written)

  function begin(): void {
    beginning = false
    while (waiting.length > 0 && writing < writersMax && mayBegin()) start(waiting.splice(0, batchMax))
  }

  function start(entries: Entry[]): void {
    let isSlow = false
    const patience = setTimeout(() => {
      isSlow = true
      written -= entries.length
      begin()
    }, PATIENCE_MS)
    writing += 1
    written += entries.length
    void write(entries).then((tell) => {
      clearTimeout(patience)
      writing -= 1
      if (!isSlow) written -= entries.length
      // The database has its next work before the callers do theirs.
      begin()
      tell()
    })
  }

  return {
    add(entry: Entry): void {
      waiting.push(entry)
      if (beginning) return
      beginning = true
      // After all that has arrived in this turn of the event loop.
      setImmediate(begin)
    },
  }
}

const CONFLICTS = new Set([
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled: the statement took too long
])

/** Whether an error may be due to a single item of many; all else is the server's or the network's matter. */
function isSuspicious(error: unknown): boolean {
  if (isPermanent(error) || mayBeItemsOwn(error)) return true
  return error instanceof Error && 'code' in error && CONFLICTS.has(String(error.code))
}

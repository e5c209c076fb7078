import { defined } from '@cashflow/async'
import { isPermanent, mayBeItemsOwn } from './errors.ts'
import { createTurns, createWriters } from './writers.ts'

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
  /**
   * Names the source of an item whose locks have no common order with those of the same source: two batches of different
   * processes may deadlock over them. Undefined for an item that cannot cross others.
   */
  crosses?: (item: Item) => string | undefined
  /** Called when a transaction has ended in a deadlock, with the sources whose items are now written one by one. */
  onDeadlock?: (sources: readonly string[]) => void
  /** The time in milliseconds. */
  now?: () => number
}

/** PostgreSQL needs a second to notice a deadlock, in which all items of the batch wait. So the next one must be far away. */
const ONE_BY_ONE_MS = 10_000

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
 *
 * A transaction of one item holds no lock while it waits for one, so it is never part of a deadlock. After a deadlock, the
 * items of each source that `crosses` names in the batch are committed one by one for 10 seconds, by one writer, in turns.
 * Other items keep their batches, and do not wait for them.
 */
export function createGroupCommit<Item extends object, Result>({
  commit,
  batchMax,
  writersMax,
  aloneMax,
  crosses = () => undefined,
  onDeadlock = () => {},
  now = () => performance.now(),
}: GroupCommitOptions<Item, Result>) {
  type Entry = Waiting<Item, Result>
  const aloneItems = new WeakSet<Item>()
  const batchWriters = createWriters<Entry>(batchMax, writersMax, (entries) => write(entries, false))
  const aloneWriters = createWriters<Entry>(1, aloneMax, (entries) => write(entries, true))
  const oneByOneWriter = createWriters<Entry>(1, 1, (entries) => write(entries, true), createTurns(sourceOf))
  const deadlocks = createDeadlocks({ crosses, onDeadlock, now })

  function sourceOf({ item }: Entry): string {
    return defined(crosses(item), 'source of an item that may deadlock again')
  }

  function writersOf({ item }: Entry) {
    if (deadlocks.mayRecur(item)) return oneByOneWriter
    return aloneItems.has(item) ? aloneWriters : batchWriters
  }

  /** @returns a function that gives the callers their results */
  async function write(entries: readonly Entry[], alone: boolean): Promise<() => void> {
    const wanted = entries.filter((entry) => isWanted(entry) && (alone || !leavesBatch(entry)))
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
      if (hasCode(error, DEADLOCK)) deadlocks.note(wanted.map(({ item }) => item))
      return () => {
        for (const entry of wanted) fail(entry, error, wanted.length)
      }
    }
  }

  /** Moves an item that arrived before its source's deadlock to the other writer. */
  function leavesBatch(entry: Entry): boolean {
    if (!deadlocks.mayRecur(entry.item)) return false
    oneByOneWriter.add(entry)
    return true
  }

  function writeAlone(entry: Entry): void {
    aloneItems.add(entry.item)
    writersOf(entry).add(entry)
  }

  function fail(entry: Entry, error: unknown, count: number): void {
    const isOwn = mayConcernOneItem(error)
    if (isOwn) aloneItems.add(entry.item)
    if (isOwn && count > 1) writersOf(entry).add(entry)
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
        const entry = { item, signal, resolve, reject }
        writersOf(entry).add(entry)
      })
    },
  }
}

/** Remembers for 10 seconds which sources had an item in a batch that ended in a deadlock. */
function createDeadlocks<Item extends object>({
  crosses,
  onDeadlock,
  now,
}: Required<Pick<GroupCommitOptions<Item, unknown>, 'crosses' | 'onDeadlock' | 'now'>>) {
  const untilBySource = new Map<string, number>()
  return {
    mayRecur(item: Item): boolean {
      if (untilBySource.size === 0) return false
      const source = crosses(item)
      return source !== undefined && (untilBySource.get(source) ?? 0) > now()
    },
    note(items: readonly Item[]): void {
      for (const [source, until] of untilBySource) if (until < now()) untilBySource.delete(source)
      const sources = new Set(items.flatMap((item) => crosses(item) ?? []))
      for (const source of sources) untilBySource.set(source, now() + ONE_BY_ONE_MS)
      if (sources.size > 0) onDeadlock([...sources])
    },
  }
}

function isWanted<Item, Result>({ signal, reject }: Waiting<Item, Result>): boolean {
  if (signal?.aborted) reject(signal.reason)
  return !signal?.aborted
}

const DEADLOCK = '40P01'
const CONFLICTS = [
  DEADLOCK,
  '55P03', // lock_not_available
  '57014', // query_canceled: the statement took too long
]

/** True if a single item may have caused the error. All other errors are due to the server or the network. */
function mayConcernOneItem(error: unknown): boolean {
  if (isPermanent(error) || mayBeItemsOwn(error)) return true
  return hasCode(error, ...CONFLICTS)
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

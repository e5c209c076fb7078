import { DeadlineError, defined, pause, within } from '@cashflow/async'
import { isTransient, mayBeItemsOwn, type StoredKey } from '@cashflow/db'
import { overloadedProblem, unreadableKeyProblem } from './refusals.ts'

export interface KeyLookupsOptions {
  /** Finds keys in one statement. */
  find(ids: readonly string[]): Promise<readonly StoredKey[]>
  /** Called when PostgreSQL cannot read an id's row or page, at most once a second for an id. */
  onUnreadable(id: string, error: unknown): void
  /** Number of ids in one statement. */
  idsMax: number
  /** Number of ids in one statement that clients with the same address have sent. Default: `idsMax`. */
  addressIdsMax?: number
  /** Number of ids that may wait for a statement. */
  waitingMax?: number
  /** Number of waiting ids that clients with the same address have sent. */
  addressWaitingMax?: number
  /** Time for a look-up with its retries, in milliseconds. */
  deadlineMs?: number
  /** Number of statements that may be without an answer after their deadline. At this number no other statement is sent. */
  overdueMax?: number
  now?: () => number
}

/** What PostgreSQL has said about an id. */
export interface FoundKey {
  /** Undefined if no key has the id. */
  readonly key: StoredKey | undefined
  /** A time before the look-up was sent, by the process's own clock, in milliseconds. What came later it may not show. */
  readonly askedAt: number
}

interface Waiting {
  readonly id: string
  resolve(found: FoundKey): void
  reject(error: unknown): void
}

const RETRY_MS = 100
/** Time in which an unreadable id is not looked up again. */
const UNREADABLE_MS = 1_000
const UNREADABLE_MAX = 10_000

/**
 * Looks keys up by their ids, in one statement at a time. Ids that arrive while one runs share the next one. The addresses
 * take turns, so a client that sends many unknown ids delays its own address only.
 *
 * After a transient error the statement is sent again while there is time. A look-up that fails rejects all ids that wait:
 * while the database is away, they would fill the memory. An error that one id may have caused, such as a damaged row,
 * rejects that id only: the halves of its statement's ids are looked up by themselves.
 */
export function createKeyLookups(options: KeyLookupsOptions) {
  const { find, onUnreadable, deadlineMs = 2_000, overdueMax = 1, now = () => performance.now() } = options
  const waiting = createTurns(options)
  const unreadable = createUnreadable(now)
  let isRunning = false
  let overdue = 0

  function begin(): void {
    if (isRunning || waiting.isEmpty() || overdue >= overdueMax) return
    isRunning = true
    void run().finally(() => {
      isRunning = false
      begin()
    })
  }

  async function run(): Promise<void> {
    const batch = waiting.take()
    const asking = lookUpAll(batch, now() + deadlineMs - RETRY_MS)
    try {
      await within(asking, { deadlineMs, what: 'the look-up of keys' })
    } catch (error) {
      overdue += 1
      const settle = () => {
        overdue -= 1
        begin()
      }
      asking.then(settle, settle)
      rejectAll([...batch, ...waiting.takeAll()], error)
      await pause(RETRY_MS)
    }
  }

  /** Looks all up. Those that were unreadable before are looked up alone, so that they cost the others no further statement. */
  async function lookUpAll(batch: readonly Waiting[], giveUpAt: number): Promise<void> {
    const suspects = batch.filter(({ id }) => unreadable.has(id))
    await lookUp(suspects.length === 0 ? batch : batch.filter(({ id }) => !unreadable.has(id)), giveUpAt)
    for (const suspect of suspects) await lookUp([suspect], giveUpAt)
  }

  /** Resolves or rejects each item, unless the error concerns all items. */
  async function lookUp(batch: readonly Waiting[], giveUpAt: number): Promise<void> {
    const [first] = batch
    if (!first) return
    if (now() >= giveUpAt) return rejectAll(batch, new DeadlineError('too many keys are unreadable'))
    try {
      const ids = batch.map(({ id }) => id)
      const { askedAt, rows } = await ask(ids, giveUpAt)
      const keys = new Map(rows.map((key) => [key.id, key]))
      for (const { id, resolve } of batch) {
        unreadable.delete(id)
        resolve({ key: keys.get(id), askedAt })
      }
    } catch (error) {
      if (!mayBeItemsOwn(error)) throw error
      if (batch.length === 1) {
        unreadable.add(first.id)
        onUnreadable(first.id, error)
        return first.reject(unreadableKeyProblem())
      }
      const middle = batch.length >> 1
      await lookUp(batch.slice(0, middle), giveUpAt)
      await lookUp(batch.slice(middle), giveUpAt)
    }
  }

  async function ask(ids: readonly string[], giveUpAt: number) {
    for (;;) {
      const askedAt = now()
      try {
        return { askedAt, rows: await find(ids) }
      } catch (error) {
        if (!isTransient(error) || now() >= giveUpAt) throw error
        await pause(RETRY_MS)
      }
    }
  }

  return {
    /**
     * Finds the key that has an id. No second look-up of an id may begin before the first has ended.
     *
     * @param address of the client
     * @throws Problem `overloaded` if too many ids wait, or `unavailable` if PostgreSQL cannot read the id; the error of the
     * statement; DeadlineError
     */
    async find(id: string, address: string): Promise<FoundKey> {
      if (overdue >= overdueMax) throw new DeadlineError('the look-up of other keys is not answered')
      if (unreadable.isRecent(id)) throw unreadableKeyProblem()
      const { promise, resolve, reject } = Promise.withResolvers<FoundKey>()
      if (!waiting.add(address, { id, resolve, reject })) throw overloadedProblem()
      begin()
      return await promise
    },
  }
}

function rejectAll(items: readonly Waiting[], error: unknown): void {
  for (const { reject } of items) reject(error)
}

/** A bounded queue from which the addresses take turns. */
function createTurns(options: KeyLookupsOptions) {
  const { idsMax, addressIdsMax = idsMax, waitingMax = 10_000, addressWaitingMax = 1_000 } = options
  /** Each address's ids, in the order of their arrival. The address whose turn it is comes first. */
  const queues = new Map<string, Set<Waiting>>()
  let count = 0

  return {
    isEmpty: () => count === 0,
    /**
     * Adds an id. If too many wait, the oldest of its own address is refused for it: its client has waited longest, and the
     * newest may be a right key among many wrong ones. Returns false if none of its address waits.
     */
    add(address: string, item: Waiting): boolean {
      const queue = queues.get(address) ?? new Set()
      if (count >= waitingMax || queue.size >= addressWaitingMax) {
        const [oldest] = queue
        if (!oldest) return false
        queue.delete(oldest)
        count -= 1
        oldest.reject(overloadedProblem())
      }
      queues.set(address, queue.add(item))
      count += 1
      return true
    },
    /** Takes the ids of a statement. */
    take(): Waiting[] {
      const batch: Waiting[] = []
      const taken = new Map<string, number>()
      // An address with more ids joins the end of the map, and this loop meets it again.
      for (const [address, queue] of queues) {
        if (batch.length === idsMax) break
        const ofAddress = taken.get(address) ?? 0
        if (ofAddress === addressIdsMax) continue
        const first = defined(queue.values().next().value, 'an id in the queue of an address')
        batch.push(first)
        taken.set(address, ofAddress + 1)
        queues.delete(address)
        queue.delete(first)
        if (queue.size > 0) queues.set(address, queue)
      }
      count -= batch.length
      return batch
    },
    takeAll(): Waiting[] {
      const all = [...queues.values()].flatMap((queue) => [...queue])
      queues.clear()
      count = 0
      return all
    },
  }
}

/** Remembers ids that PostgreSQL could not read. */
function createUnreadable(now: () => number) {
  /** The times of the last attempts, the earliest first. */
  const failedAt = new Map<string, number>()
  return {
    has: (id: string) => failedAt.has(id),
    /** True if the id must not be looked up yet. */
    isRecent: (id: string) => now() - (failedAt.get(id) ?? Number.NEGATIVE_INFINITY) < UNREADABLE_MS,
    add(id: string): void {
      failedAt.delete(id)
      const [oldest] = failedAt.keys()
      if (failedAt.size >= UNREADABLE_MAX && oldest !== undefined) failedAt.delete(oldest)
      failedAt.set(id, now())
    },
    delete: (id: string) => failedAt.delete(id),
  }
}

import { DeadlineError, defined, pause, within } from '@cashflow/async'
import { isTransient, type StoredKey } from '@cashflow/db'
import { overloadedProblem } from './refusals.ts'

export interface KeyLookupsOptions {
  /** Finds keys in one statement. */
  find(ids: readonly string[]): Promise<readonly StoredKey[]>
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

/**
 * Looks keys up by their ids, in one statement at a time. Ids that arrive while one runs share the next one. The addresses
 * take turns, so a client that sends many unknown ids delays its own address only.
 *
 * After a transient error the statement is sent again while there is time. A look-up that fails rejects all ids that wait:
 * while the database is away, they would fill the memory.
 */
export function createKeyLookups(options: KeyLookupsOptions) {
  const { find, deadlineMs = 2_000, overdueMax = 1, now = () => performance.now() } = options
  const waiting = createTurns(options)
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
    const asking = ask(batch.map(({ id }) => id))
    try {
      const { askedAt, rows } = await within(asking, { deadlineMs, what: 'the look-up of keys' })
      const keys = new Map(rows.map((key) => [key.id, key]))
      for (const { id, resolve } of batch) resolve({ key: keys.get(id), askedAt })
    } catch (error) {
      overdue += 1
      const settle = () => {
        overdue -= 1
        begin()
      }
      asking.then(settle, settle)
      for (const { reject } of [...batch, ...waiting.takeAll()]) reject(error)
      await pause(RETRY_MS)
    }
  }

  async function ask(ids: readonly string[]) {
    const giveUpAt = now() + deadlineMs - RETRY_MS
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
     * @throws Problem `overloaded` if too many ids wait; the error of the statement; DeadlineError
     */
    async find(id: string, address: string): Promise<FoundKey> {
      if (overdue >= overdueMax) throw new DeadlineError('the look-up of other keys is not answered')
      const { promise, resolve, reject } = Promise.withResolvers<FoundKey>()
      if (!waiting.add(address, { id, resolve, reject })) throw overloadedProblem()
      begin()
      return await promise
    },
  }
}

/** A bounded queue from which the addresses take turns. */
function createTurns(options: KeyLookupsOptions) {
  const { idsMax, addressIdsMax = idsMax, waitingMax = 10_000, addressWaitingMax = 1_000 } = options
  /** Each address's ids, in the order of their arrival. The address whose turn it is comes first. */
  const queues = new Map<string, Set<Waiting>>()
  let count = 0

  return {
    isEmpty: () => count === 0,
    /** Returns false if the queue is full. */
    add(address: string, item: Waiting): boolean {
      const queue = queues.get(address) ?? new Set()
      if (count >= waitingMax || queue.size >= addressWaitingMax) return false
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

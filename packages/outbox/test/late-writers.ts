import { aMessage } from '@cashflow/testing'
import { type ControlledTransaction, sql } from 'kysely'
import {
  appendMessages,
  createFloors,
  createTopics,
  type Floors,
  type OutboxTables,
  promoteDue,
  runPass,
  type Topics,
} from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { LIMITS, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

// Several keys in each of two lanes: a floor depends on every producer of its lane.
export const KEYS = Array.from({ length: 1_000 }, (_, index) => `key ${index}`)
  .filter((key) => laneOf(key) < 2)
  .slice(0, 8)

/** Keys whose topic the broker refuses at times: a refused message loses its place in the order. */
export const REFUSABLE: ReadonlySet<string> = new Set(KEYS.filter((_, index) => index % 2 === 1))

/** One random step. Its numbers choose among the producers, relays and passes that exist at the time. */
export type Step =
  | { do: 'append'; writer: number; key: number; count: number }
  | { do: 'commit' | 'rollback'; writer: number }
  | { do: 'pass' | 'hold'; relay: number; verdicts: number[]; refuses: boolean }
  | { do: 'promote'; relay: number }
  | { do: 'release'; which: number }
  | { do: 'forget'; relay: number }

interface Writer {
  tx: ControlledTransaction<OutboxTables>
  appended: { messageId: string; key: string }[]
}

/** Two independent relays, and producers that hold the row lock of each key that they write. */
export function createWorld({ db, backlog }: TestOutbox) {
  const writers = new Map<number, Writer>()
  const holders = new Map<string, number>()
  let clock = 0
  const createRelay = () => ({ floors: createFloors(), topics: createTopics({ now: () => clock, perLaneMax: 1 }) })
  const relays: { floors: Floors; topics: Topics }[] = [createRelay(), createRelay()]
  const committed: { messageId: string; key: string }[] = []
  const firstDeliveries: { messageId: string; key: string }[] = []
  const seen = new Set<string>()
  const holds: (() => void)[] = []
  const running = new Set<Promise<void>>()
  let lane = 0

  async function append(id: number, key: string, count: number): Promise<void> {
    // The row lock of the aggregate: a producer holds it until the end of its transaction.
    if (holders.has(key) && holders.get(key) !== id) return
    holders.set(key, id)
    const writer = writers.get(id) ?? { tx: await db.startTransaction().execute(), appended: [] }
    writers.set(id, writer)
    const topic = REFUSABLE.has(key) ? 'refusable' : 'taken'
    const news = Array.from({ length: count }, () => aMessage({ key, topic }))
    await appendMessages(writer.tx, news)
    writer.appended.push(...news)
  }

  async function end(id: number, how: 'commit' | 'rollback'): Promise<void> {
    const writer = writers.get(id)
    if (!writer) return
    writers.delete(id)
    for (const [key, holder] of holders) if (holder === id) holders.delete(key)
    if (how === 'commit') {
      await writer.tx.commit().execute()
      committed.push(...writer.appended)
    } else await writer.tx.rollback().execute()
  }

  /** Resolves when the pass has ended. If the pass is held, resolves when it waits for its confirms. */
  async function pass(
    { relay, verdicts, refuses }: { relay: number; verdicts: readonly number[]; refuses: boolean },
    held?: Promise<void>,
  ): Promise<void> {
    clock += 100
    let index = 0
    const publishing = Promise.withResolvers<void>()
    const publisher = scriptedPublisher(async (message) => {
      if (refuses && message.topic === 'refusable') {
        publishing.resolve()
        await held
        return { status: 'nacked' }
      }
      if (!seen.has(message.messageId)) firstDeliveries.push(message)
      seen.add(message.messageId)
      const verdict = verdicts[index % verdicts.length]
      index += 1
      publishing.resolve()
      await held
      // An unanswered message stays in its lane although the broker has it: it is delivered again, as a duplicate.
      return verdict === 0 ? { status: 'unknown', reason: 'deadline' } : { status: 'confirmed' }
    })
    const limits = { ...LIMITS, lanesMax: 2, messagesPerLaneMax: 3 }
    const over = runPass({ db, publisher, ...(relays[relay] as (typeof relays)[0]), limits }, lane).then((result) => {
      lane = result.nextLane
    })
    running.add(over)
    void over.finally(() => running.delete(over))
    await (held ? Promise.race([publishing.promise, over]) : over)
  }

  /** Makes all refused messages due, and promotes. */
  async function promote(relay: number): Promise<void> {
    clock += 60_000
    await sql`update outbox_scheduled set due_at = now()`.execute(db)
    await promoteDue(db, (relays[relay] as (typeof relays)[0]).topics)
  }

  return {
    committed,
    firstDeliveries,
    async run(next: Step): Promise<void> {
      switch (next.do) {
        case 'append':
          return append(next.writer, KEYS[next.key] as string, next.count)
        case 'commit':
        case 'rollback':
          return end(next.writer, next.do)
        case 'pass':
          return pass(next)
        case 'hold': {
          if (holds.length >= 4) return
          const { promise, resolve } = Promise.withResolvers<void>()
          holds.push(resolve)
          return pass(next, promise)
        }
        case 'release':
          return holds.splice(next.which % Math.max(1, holds.length), 1)[0]?.()
        case 'promote':
          return promote(next.relay)
        case 'forget':
          return relays[next.relay]?.floors.forget()
        default:
          return next satisfies never
      }
    },
    async end(): Promise<void> {
      for (const release of holds.splice(0)) release()
      await Promise.all(running)
      for (const id of [...writers.keys()]) await end(id, 'commit')
    },
    async drain(): Promise<void> {
      const waiting = async () => {
        const { rows } = await sql<{ count: string }>`select count(*) from outbox_scheduled`.execute(db)
        return (await backlog()) + Number(rows[0]?.count)
      }
      for (let left = await waiting(), idle = 0; left > 0 && idle < 6; ) {
        for (const relay of [0, 1]) await promote(relay)
        for (const relay of [0, 1]) await pass({ relay, verdicts: [1], refuses: false })
        const now = await waiting()
        idle = now === left ? idle + 1 : 0
        left = now
      }
    },
  }
}

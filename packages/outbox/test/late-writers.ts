import { randomUUID } from 'node:crypto'
import type { ControlledTransaction } from 'kysely'
import { appendMessages, createFloors, type Floors, type OutboxTables, runPass } from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { LIMITS, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

// Several keys in each of two lanes: a floor has to mind every writer of its lane.
export const KEYS = Array.from({ length: 1_000 }, (_, index) => `key ${index}`)
  .filter((key) => laneOf(key) < 2)
  .slice(0, 8)

/** What may happen next; numbers choose among what is there at the time. */
export type Step =
  | { do: 'append'; writer: number; key: number; count: number }
  | { do: 'commit' | 'rollback'; writer: number }
  | { do: 'pass' | 'hold'; relay: number; verdicts: number[] }
  | { do: 'release'; which: number }
  | { do: 'forget'; relay: number }

interface Writer {
  tx: ControlledTransaction<OutboxTables>
  appended: { messageId: string; key: string }[]
}

/** Two relays with floors of their own, and writers that hold the row lock of each key that they write. */
export function createWorld({ db, backlog }: TestOutbox) {
  const writers = new Map<number, Writer>()
  const holders = new Map<string, number>()
  const relays: Floors[] = [createFloors(), createFloors()]
  const committed: { messageId: string; key: string }[] = []
  const firstDeliveries: { messageId: string; key: string }[] = []
  const seen = new Set<string>()
  const holds: (() => void)[] = []
  const running = new Set<Promise<void>>()
  let lane = 0

  async function append(id: number, key: string, count: number): Promise<void> {
    // The aggregate's row lock: who writes a key holds it until the end of its transaction.
    if (holders.has(key) && holders.get(key) !== id) return
    holders.set(key, id)
    const writer = writers.get(id) ?? { tx: await db.startTransaction().execute(), appended: [] }
    writers.set(id, writer)
    const news = Array.from({ length: count }, () => ({ messageId: randomUUID(), key, topic: 't', payload: null }))
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

  /** Resolves once the pass is over, or, when it is held, once it waits for its confirms. */
  async function pass(relay: number, verdicts: readonly number[], held?: Promise<void>): Promise<void> {
    let index = 0
    const publishing = Promise.withResolvers<void>()
    const publisher = scriptedPublisher(async (message) => {
      if (!seen.has(message.messageId)) firstDeliveries.push(message)
      seen.add(message.messageId)
      const verdict = verdicts[index % verdicts.length]
      index += 1
      publishing.resolve()
      await held
      // Unknown stays in place, though the broker has it: it is delivered again later, as a duplicate.
      return verdict === 0 ? { status: 'unknown', reason: 'deadline' } : { status: 'confirmed' }
    })
    const floors = relays[relay] as Floors
    const limits = { ...LIMITS, lanesMax: 2, messagesPerLaneMax: 3 }
    const over = runPass({ db, publisher, floors, limits }, lane).then((result) => {
      lane = result.nextLane
    })
    running.add(over)
    void over.finally(() => running.delete(over))
    await (held ? Promise.race([publishing.promise, over]) : over)
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
          return pass(next.relay, next.verdicts)
        case 'hold': {
          if (holds.length >= 4) return
          const { promise, resolve } = Promise.withResolvers<void>()
          holds.push(resolve)
          return pass(next.relay, next.verdicts, promise)
        }
        case 'release':
          return holds.splice(next.which % Math.max(1, holds.length), 1)[0]?.()
        case 'forget':
          return relays[next.relay]?.forget()
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
      for (let left = await backlog(), idle = 0; left > 0 && idle < 3; ) {
        for (const relay of [0, 1]) await pass(relay, [1])
        const now = await backlog()
        idle = now === left ? idle + 1 : 0
        left = now
      }
    },
  }
}

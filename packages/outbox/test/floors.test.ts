import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { type ControlledTransaction, sql } from 'kysely'
import { appendMessages, createFloors, type Floors, type OutboxTables, runPass } from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { createTestOutbox, LIMITS, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

// Several keys in each of two lanes: a floor has to mind every writer of its lane.
const KEYS = Array.from({ length: 1_000 }, (_, index) => `key ${index}`)
  .filter((key) => laneOf(key) < 2)
  .slice(0, 8)

/** What may happen next; numbers choose among what is there at the time. */
type Step =
  | { do: 'append'; writer: number; key: number; count: number }
  | { do: 'commit' | 'rollback'; writer: number }
  | { do: 'pass' | 'hold'; relay: number; verdicts: number[] }
  | { do: 'release'; which: number }
  | { do: 'forget'; relay: number }

const verdicts = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 })
const relay = fc.nat(1)
const writer = fc.nat(3)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      writer,
      key: fc.nat(KEYS.length - 1),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const), writer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rollback' as const), writer }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('pass' as const), relay, verdicts }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('hold' as const), relay, verdicts }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), relay }) },
)

interface Writer {
  tx: ControlledTransaction<OutboxTables>
  appended: { messageId: string; key: string }[]
}

describe('floors', () => {
  let outbox: TestOutbox
  before(async () => {
    outbox = await createTestOutbox()
  })
  after(() => outbox.drop())

  it('leave nothing behind and keep each key in order, however late writers commit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }), async (steps) => {
        await sql`truncate outbox_messages`.execute(outbox.db)
        const world = createWorld(outbox)
        try {
          for (const next of steps) await world.run(next)
        } finally {
          await world.end()
        }
        // Nothing behind: with the floors that they have by now, the relays find all that was committed.
        await world.drain()
        expect(await outbox.backlog(), 'left behind a floor').to.equal(0)
        expect(world.firstDeliveries.map(({ messageId }) => messageId)).to.have.members(
          world.committed.map(({ messageId }) => messageId),
        )
        for (const key of KEYS) {
          const inOrder = (list: { messageId: string; key: string }[]) =>
            list.filter((entry) => entry.key === key).map(({ messageId }) => messageId)
          expect(inOrder(world.firstDeliveries), `order of key ${key}`).to.deep.equal(inOrder(world.committed))
        }
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 150) },
    )
  }).timeout(120_000)

  it('move past deleted messages, so that old ones are not read again', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    for (let round = 0; round < 6; round += 1) {
      await outbox.db
        .transaction()
        .execute((tx) => appendMessages(tx, [{ messageId: randomUUID(), key: 'a', topic: 't', payload: round }]))
      await runPass({ db: outbox.db, publisher: scriptedPublisher(), floors, limits: LIMITS }, 0)
    }
    const { rows } = await sql<{ last: string }>`select last_value::text as last from outbox_messages_id_seq`.execute(
      outbox.db,
    )
    const known = floors.view().map(({ floor }) => Number(floor))
    expect(Number(rows[0]?.last) - Math.max(...known)).to.be.within(0, 3)
  })

  it('do not move while a writer that may hold a lower id is still open', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const late = await outbox.db.startTransaction().execute()
    const held = { messageId: randomUUID(), key: 'a', topic: 't', payload: 'late' }
    await appendMessages(late, [held])
    const publisher = scriptedPublisher()
    const pass = () => runPass({ db: outbox.db, publisher, floors, limits: LIMITS }, 0)
    for (let round = 0; round < 6; round += 1) {
      await outbox.db
        .transaction()
        .execute((tx) => appendMessages(tx, [{ messageId: randomUUID(), key: 'a', topic: 't', payload: round }]))
      await pass()
    }
    await late.commit().execute()
    await pass()
    expect(publisher.published.at(-1)?.messageId).to.equal(held.messageId)
    expect(await outbox.backlog()).to.equal(0)
  })
})

/** Two relays with floors of their own, and writers that hold the row lock of each key that they write. */
function createWorld({ db, backlog }: TestOutbox) {
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

describe('an observation', () => {
  const seen = { lowestLeft: undefined, cut: false }

  it('counts only for a pass that began after the step before it had been taken', () => {
    const floors = createFloors()
    const early = floors.view()
    // Both passes began before anything was known. The first shows 10; the second has an xid that a writer of id 9,
    // still open, may be younger than.
    floors.observe(early, 0, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
    floors.observe(early, 0, { ...seen, xid: 101n, xmin: 101n, lastRead: 11n })
    const later = floors.view()
    expect(later[0]).to.deep.equal({ floor: 0n, shown: 10n })
    floors.observe(later, 0, { ...seen, xid: 110n, xmin: 105n, lastRead: undefined })
    floors.observe(floors.view(), 0, { ...seen, xid: 120n, xmin: 110n, lastRead: undefined })
    expect(floors.view()[0]?.floor, 'xid 110 itself may be open').to.equal(0n)
    floors.observe(floors.view(), 0, { ...seen, xid: 121n, xmin: 111n, lastRead: undefined })
    expect(floors.view()[0]?.floor).to.equal(10n)
  })

  it('does not count once the floors were forgotten', () => {
    const floors = createFloors()
    const view = floors.view()
    floors.forget()
    floors.observe(view, 0, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
    expect(floors.view()[0]).to.deep.equal({ floor: 0n })
  })

  for (const [what, more, floor] of [
    ['what was read', {}, 10n],
    ['just below the lowest id that stays', { lowestLeft: 7n, lastRead: 12n }, 6n],
    ['the last id read, where the limit cut it short', { cut: true, lastRead: 8n }, 8n],
    ['nothing, where the limit kept all of the lane back', { cut: true }, 0n],
  ] as const) {
    it(`moves the floor to ${what}`, () => {
      const floors = createFloors()
      floors.observe(floors.view(), 3, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
      floors.observe(floors.view(), 3, { ...seen, xid: 101n, xmin: 101n, lastRead: undefined })
      floors.observe(floors.view(), 3, { ...seen, xid: 102n, xmin: 102n, lastRead: undefined, ...more })
      expect(floors.view()[3]?.floor).to.equal(floor)
    })
  }
})

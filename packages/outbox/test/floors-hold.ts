import { expect } from 'chai'
import fc from 'fast-check'
import { sql } from 'kysely'
import { createWorld, KEYS, REFUSABLE, type Step } from './late-writers.ts'
import type { TestOutbox } from './test-outbox.ts'

const verdicts = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 })
const relay = fc.nat(1)
// True if the broker refuses all messages of the refusable topic.
const refuses = fc.boolean()
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
  { weight: 10, arbitrary: fc.record({ do: fc.constant('pass' as const), relay, verdicts, refuses }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('hold' as const), relay, verdicts, refuses }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('promote' as const), relay }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), relay }) },
)

/** Property of random steps: no message stays below a floor, and each key keeps its order. */
export const floorsHold = (outbox: TestOutbox) =>
  fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }), async (steps) => {
    await sql`truncate outbox_messages, outbox_scheduled`.execute(outbox.db)
    const world = createWorld(outbox)
    try {
      for (const next of steps) await world.run(next)
    } finally {
      await world.end()
    }
    // With the floors that the relays have at the end, they find all committed messages.
    await world.drain()
    expect(await outbox.backlog(), 'left behind a floor').to.equal(0)
    expect(world.firstDeliveries.map(({ messageId }) => messageId)).to.have.members(
      world.committed.map(({ messageId }) => messageId),
    )
    for (const key of KEYS.filter((it) => !REFUSABLE.has(it))) {
      const inOrder = (list: { messageId: string; key: string }[]) =>
        list.filter((entry) => entry.key === key).map(({ messageId }) => messageId)
      expect(inOrder(world.firstDeliveries), `order of key ${key}`).to.deep.equal(inOrder(world.committed))
    }
  })

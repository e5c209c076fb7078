import { randomUUID } from 'node:crypto'
import { createWakeSignal } from '@cashflow/async'
import { createDatabase } from '@cashflow/db'
import { createFloors } from '@cashflow/outbox'
import type { Component } from '@cashflow/runtime'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelay } from '../src/relay.ts'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

const DEAD = 50_000
// A statement gets a third of it, which is more than the machine needs for a small statement.
const READ_PAST_MIN_MS = 150

describe('relay that starts while an old snapshot keeps dead tuples', () => {
  let rig: RelayRig
  let relay: Component | undefined
  beforeEach(async () => {
    rig = await createRelayRig()
  })
  afterEach(async () => {
    await relay?.stop()
    await rig.stop()
  })

  it('publishes although no statement has the time to read past the dead tuples of all lanes', async () => {
    const { db } = rig
    let failures = 0
    const warn = (message: string) => {
      if (message.startsWith('pass failed')) failures += 1
    }
    const logger = { debug() {}, info() {}, warn, error() {} }
    const old = await db.startTransaction().setIsolationLevel('repeatable read').execute()
    await sql`set local idle_in_transaction_session_timeout = 0`.execute(old)
    await sql`select 1`.execute(old)
    let readPastMs = 0
    while (readPastMs < READ_PAST_MIN_MS) {
      await addDead()
      await readPast() // The first read also marks the dead tuples, and takes longer than later ones.
      readPastMs = Math.min(await readPast(), await readPast(), await readPast())
    }
    // As autovacuum may at any time. The planner then expects almost no rows in many pages.
    await sql`analyze outbox_messages`.execute(db)
    await rig.append(news(200))

    const impatient = createDatabase({
      url: rig.database.url,
      applicationName: 'relay',
      poolMax: 4,
      logger,
      statementMs: Math.floor(readPastMs / 3),
    })
    const publisher = {
      whenReady: async () => {},
      redeclare: async () => true,
      publish: async (messages: readonly unknown[]) => messages.map(() => ({ status: 'confirmed' as const })),
    }
    relay = createRelay({
      db: impatient,
      publisher,
      isPaused: () => false,
      floors: createFloors(),
      wake: createWakeSignal(),
      logger,
      passes: 2,
    })
    try {
      await relay.start(new AbortController().signal)
      await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
      expect(failures).to.be.above(0)
    } finally {
      await relay.stop()
      await impatient.destroy()
      await old.rollback().execute()
    }

    async function addDead(): Promise<void> {
      await sql`
        insert into outbox_messages (lane, message_id, key, topic, payload)
        select n % 32, ${randomUUID()}, n::text, 'payment.created', '{}'
        from generate_series(1, ${DEAD}::int) n`.execute(db)
      await sql`delete from outbox_messages`.execute(db)
    }

    /** @returns the time to read past the dead tuples of all lanes, in milliseconds */
    async function readPast(): Promise<number> {
      const startedAt = performance.now()
      await sql`select from outbox_lanes l where exists (
        select from outbox_messages m where m.lane = l.lane and m.id > 0
      )`.execute(db)
      return performance.now() - startedAt
    }
  })
})

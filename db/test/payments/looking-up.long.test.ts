import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID, settlePayment, type TransitionResult } from '@cashflow/domain'
import {
  appendMessages,
  buryMessage,
  createFloors,
  createTopics,
  type OutboxMessage,
  oldestMessage,
  outboxLagMs,
  type Publisher,
  promoteDue,
  resolveDeadLettersOf,
  runPass,
  scheduleMessages,
  verifyFloors,
} from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { aMessage, eventually, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, findPayment } from '../../src/index.ts'
import {
  claimOverdue,
  claimPayments,
  hasOverdue,
  isParked,
  lockClaimed,
  parkPayment,
  saveRetry,
} from '../../src/worker.ts'
import { createTestStore, newPayment, storePayments, storeSettlements, type TestStore } from '../test-store.ts'

const TABLES = ['payments', 'payment_events', 'outbox_messages', 'outbox_scheduled', 'dead_letters']
const OTHERS = 20_000
const REFUSED = 'receipt.requested'
const BATCH = 100
// A round below concerns some ten rows of each table, and reads a few index entries for each. The outbox's lag and its
// oldest message each read 16 messages of each of 32 lanes.
const READ_MAX = 300 + 2 * 16 * 32

const publisher: Publisher = {
  publish: async (messages) => messages.map(() => ({ status: 'confirmed' })),
  redeclare: async () => true,
}
const LIMITS = { lanesMax: 4, messagesPerLaneMax: 4, bytesMax: 1_000_000, confirmDeadlineMs: 1_000 }

describe('the statements about payments and messages', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(1, undefined, 120_000)
  })
  after(() => store.drop())

  /** Executes the statements of all services for at least three payments. */
  async function round(count = 3): Promise<void> {
    const { db } = store
    const payments = Array.from({ length: count }, () => newPayment())
    const created = payments.map(({ payment, event }) => {
      const messages = [aMessage({ key: payment.id, topic: 'payment.created' })]
      return { payment, idempotencyKey: payment.id, event, requestId: 'r', messages }
    })
    await storePayments(db, created, { redriveAfterMs: -1 })
    await storePayments(db, created, { redriveAfterMs: -1 })
    const ids = payments.map(({ payment }) => payment.id) as [string, string, string, ...string[]]
    expect(await hasOverdue(db)).to.equal(true)
    const spans = [{ from: 0, to: Number.POSITIVE_INFINITY }]
    await db
      .transaction()
      .execute((tx) => claimOverdue(tx, { redriveAfterMs: 60_000, batchMax: count, spans, traced: true }))
    const claims = ids.map((id) => ({ id, token: randomUUID() }))
    await claimPayments(db, claims, { leaseMs: 60_000, attemptsMax: 10, redriveAfterMs: 60_000 }, false)
    const settlings = created
      .map(({ payment }, index) => ({
        ...(settlePayment(payment, { outcome: 'approved' }, new Date()) as TransitionResult & { settled: true }),
        token: claims[index]?.token ?? '',
        actor: 'worker',
        requestId: 'r',
        previousHash: null,
        messages: [aMessage({ key: payment.id, topic: 'payment.succeeded' })],
      }))
      .filter((_, index) => index !== 1 && index !== 2)
    expect(await storeSettlements(db, settlings, false)).to.deep.equal(settlings.map(() => 'SUCCESS'))
    await db.transaction().execute(async (tx) => {
      expect(await lockClaimed(tx, defined(claims[1], 'claim'))).to.equal(true)
      await saveRetry(tx, ids[1], { delayMsAfter: () => 1, redriveAfterMs: 60_000 })
      await parkPayment(tx, ids[1], 1)
      const later = aMessage({ key: ids[2], topic: 'payment.retry' })
      await scheduleMessages(tx, [later], -1)
      const letter = { ...later, source: 'worker', reason: 'r', attempts: 1 }
      expect(await buryMessage(tx, letter)).to.equal(true)
      await resolveDeadLettersOf(tx, { source: 'worker', key: later.key }, 'r')
    })
    expect(await isParked(db, ids[2])).to.equal(false)
    await sql`
      insert into outbox_scheduled (lane, message_id, key, topic, payload, created_at, due_at, refused)
      values (0, gen_random_uuid(), 'k', ${REFUSED}, '{}', now(), now(), true)`.execute(db)
    expect(await outboxLagMs(db, ['payment.created', REFUSED])).to.be.above(0)
    const past = { isRowsOwn: () => false, onUnreadable() {} }
    expect((await oldestMessage(db, createFloors(), past))?.waitsMs).to.be.above(0)
    expect(await findPayment(db, { merchantId: DEFAULT_MERCHANT_ID, id: ids[0] })).to.include({ status: 'SUCCESS' })
    const topics = createTopics()
    expect(await promoteDue(db, topics)).to.equal(2)
    const floors = createFloors()
    const pass = { db, publisher, floors, topics, limits: LIMITS }
    expect((await runPass(pass, 0)).dispositions.length).to.be.within(1, 16)
    topics.judge([{ topic: REFUSED } as OutboxMessage], [{ status: 'nacked' }])
    expect(topics.quota().topics).to.deep.equal([REFUSED])
    expect((await runPass(pass, 0)).dispositions.length).to.be.at.most(16)
    expect(await verifyFloors(db, floors, new AbortController().signal)).to.equal(undefined)
  }

  /**
   * Rows and index entries that a round reads of one table: the highest of all tables. Dead entries of earlier rounds count
   * until PostgreSQL marks them. It marks none that a snapshot may need, such as that of autovacuum's ANALYZE.
   */
  async function readMost(count?: number): Promise<number> {
    const before = await read()
    await round(count)
    const after = await read()
    const counts = TABLES.map((table) => (after.get(table) ?? 0) - (before.get(table) ?? 0))
    expect(counts).not.to.include(0)
    // A round looks for three references that are not pruned.
    return Math.max(...counts, (after.get('pruned_references') ?? 0) - (before.get('pruned_references') ?? 0))
  }

  /** Rows and index entries that were read until now, by table. */
  async function read(): Promise<Map<string, number>> {
    await sql`select pg_stat_force_next_flush()`.execute(store.db)
    const { rows } = await sql<{ table: string; read: number }>`
      select t.relname as table, (seq_tup_read + sum(idx_tup_read))::int as read
      from pg_stat_user_tables t join pg_stat_user_indexes using (relid) group by t.relname, seq_tup_read`.execute(
      store.db,
    )
    return new Map(rows.map(({ table, read }) => [table, read]))
  }

  it('read only the rows that they concern, of many rows that came after the plans were made', async () => {
    for (let i = 0; i < 6; i++) await round()
    await fill()
    expect(await readMost()).to.be.at.most(READ_MAX)
  })

  it('read each payment of a batch once, not once for each of the others', async () => {
    await sql`vacuum analyze`.execute(store.db)
    for (let i = 0; i < 6; i++) await round(BATCH)
    await eventually(async () => expect(await readMost(BATCH)).to.be.at.most(BATCH * 20))
  })

  for (const few of [0, 40]) {
    it(`read none of many other rows, when ${few} rows were left of many as the plans were made`, async () => {
      const { db, database } = store
      const reader = createDatabase({
        url: database.url,
        applicationName: 'test',
        poolMax: 1,
        idleInTransactionMs: 0,
        logger: nullLogger,
      })
      await fill()
      const old = await reader.startTransaction().setIsolationLevel('repeatable read').execute()
      try {
        await sql`select 1`.execute(old)
        await sql`alter table payments disable trigger user`.execute(db) // Pruned payments alone may be deleted.
        for (const table of TABLES) await sql`delete from ${sql.table(table)}`.execute(db)
        await planFor(few)
      } finally {
        await old.rollback().execute()
        await reader.destroy()
      }
      await fill()
      await eventually(async () => expect(await readMost()).to.be.at.most(READ_MAX))
    })
  }

  it('read none of many other rows, when only few rows existed as the plans were made', async () => {
    await sql`truncate payments, payment_events, outbox_messages, outbox_scheduled, dead_letters`.execute(store.db)
    await planFor(40)
    await fill()
    expect(await readMost()).to.be.at.most(READ_MAX)
  })

  async function planFor(few: number): Promise<void> {
    await fill(few)
    await sql`vacuum analyze`.execute(store.db)
    for (let i = 0; i < 6; i++) await round()
  }

  /** Stores settled and PENDING payments, and messages in all lanes, scheduled and refused. */
  async function fill(others = OTHERS): Promise<void> {
    const { db } = store
    const ids = Array.from({ length: others }, () => uuidv7())
    await sql`
      with others as (
        insert into payments (id, merchant_id, reference, idempotency_key, amount_minor, currency, status, settled_at,
          redrive_at)
        select given.id, m.id, given.id::text, given.id::text, 1, 'USD', case n % 2 when 0 then 'PENDING' else 'SUCCESS' end,
          case n % 2 when 1 then now() end, case n % 2 when 0 then now() + interval '1 day' end
        from unnest(${ids}::uuid[]) with ordinality as given (id, n), merchants m returning id, merchant_id
      )
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
      select id, merchant_id, 1, 'payment.created', '{}', 'api' from others`.execute(db)
    await sql`
      insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency, created_at)
      select m.id, pruned.id::text, 'pruned ' || pruned.id, gen_random_uuid(), 1, 'USD', now() from unnest(${ids}::uuid[]) as pruned (id), merchants m`.execute(
      db,
    )
    const messages = Array.from({ length: others }, () => aMessage({ topic: 'payment.created' }))
    await db.transaction().execute(async (tx) => {
      await appendMessages(tx, messages)
      await scheduleMessages(tx, messages, 86_400_000)
      await sql`
        insert into outbox_scheduled (lane, message_id, key, topic, payload, due_at, refused)
        select 0, gen_random_uuid(), n::text, 'another.refused', '{}', now() + interval '1 day', true
        from generate_series(1, ${others}::int) n`.execute(tx)
      await sql`
        insert into dead_letters (lane, message_id, key, topic, payload, source, reason, resolved_at, resolution)
        select 0, gen_random_uuid(), gen_random_uuid()::text, 't', '{}', source, 'r', resolved_at, resolution
        from generate_series(1, ${others / 2}::int) n,
          (values ('outbox', null, null), ('worker', now(), 'r')) as letter (source, resolved_at, resolution)`.execute(
        tx,
      )
    })
  }
})

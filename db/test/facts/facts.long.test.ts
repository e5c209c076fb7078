import { appendMessages } from '@cashflow/outbox'
import {
  aMessage,
  createUnreadableRows,
  eventually,
  openClient,
  recordingLogger,
  startTcpProxy,
  type TcpProxy,
} from '@cashflow/testing'
import { Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, createFacts, type Database, type Facts, registerFacts } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const LOOK_MS = 20
const { signal } = new AbortController()

describe('facts of the database', () => {
  let store: TestStore
  let proxy: TcpProxy
  let db: Database
  let facts: Facts
  let registry: Registry
  let recorded: ReturnType<typeof recordingLogger>

  beforeEach(async () => {
    store = await createTestStore()
    proxy = await startTcpProxy(store.database.url)
    recorded = recordingLogger()
    observe(proxy.url)
  })
  afterEach(async () => {
    await facts.stop()
    proxy.restore()
    await db.destroy()
    await proxy.stop()
    await store.drop()
  })

  function observe(url: string) {
    db = createDatabase({ url, applicationName: 'facts', poolMax: 1, logger: recorded.logger })
    facts = createFacts({ db, standbyRequired: false, logger: recorded.logger, lookMs: LOOK_MS })
    registry = new Registry()
    registerFacts(registry, facts)
  }

  /** The values of a metric in a scrape, by the value of its label, or as ''. */
  async function scrape(name: string): Promise<Record<string, number>> {
    const lines = (await registry.metrics()).match(new RegExp(`^${name}[ {].*$`, 'gm')) ?? []
    return Object.fromEntries(lines.map((line) => [/="(.*)"/.exec(line)?.[1] ?? '', Number(line.split(' ').at(-1))]))
  }

  /** Stores payments `agoS` seconds old, PENDING unless they were settled after `settledS` seconds. */
  const storePayments = (
    count: number,
    agoS: number,
    { settledS, redriveS = 60 }: { settledS?: number; redriveS?: number } = {},
  ) =>
    sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, settled_at, redrive_at)
      select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || right(md5(random()::text), 3) || '8' || right(md5(random()::text), 15))::uuid,
        '00000000-0000-7000-8000-000000000001', gen_random_uuid(), 1, 'USD', case when ${settledS ?? null}::float8 is null then 'PENDING' else 'SUCCESS' end, at,
        at + ${settledS ?? null}::float8 * interval '1 second',
        case when ${settledS ?? null}::float8 is null then at + ${redriveS}::float8 * interval '1 second' end
      from (select now() - ${agoS}::float8 * interval '1 second' as at from generate_series(1, ${count}::int)) given`.execute(
      store.db,
    )

  it('facts: a scrape before the first look shows their age only', async () => {
    expect(Object.keys(await scrape('cashflow_db_facts_age_seconds'))).to.deep.equal([''])
    expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({})
    expect(await scrape('cashflow_db_outbox_messages')).to.deep.equal({})
  })

  it('facts: shows the backlog of known topics, and of all others together', async () => {
    await store.db
      .transaction()
      .execute((tx) =>
        appendMessages(tx, [
          ...Array.from({ length: 3 }, () => aMessage({ topic: 'payment.created' })),
          aMessage({ topic: 'strange' }),
          aMessage({ topic: 'stranger' }),
        ]),
      )
    await sql`update outbox_messages set created_at = now() - interval '100 seconds' where topic = 'strange'`.execute(
      store.db,
    )
    await facts.start(signal)
    await eventually(async () =>
      expect(await scrape('cashflow_db_outbox_messages')).to.deep.equal({
        'payment.created': 3,
        'payment.retry': 0,
        'payment.succeeded': 0,
        'payment.failed': 0,
        other: 2,
      }),
    )
    expect((await scrape('cashflow_db_outbox_lag_seconds')).other).to.be.within(100, 110)
    expect((await scrape('cashflow_db_outbox_messages_capped')).other).to.equal(0)
  })

  it('facts: shows PENDING payments by what they wait for and by age, and parked ones apart from them', async () => {
    await storePayments(2, 5)
    await storePayments(3, 300)
    await storePayments(1, 7_200)
    const parked = await store.db.selectFrom('payments').select('id').orderBy('id').limit(1).executeTakeFirstOrThrow()
    await sql`update payments set parked_at = now(), redrive_at = null where id = ${parked.id}`.execute(store.db)
    await facts.start(signal)
    await eventually(async () => expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 6 }))
    expect(await scrape('cashflow_db_payments_parked')).to.deep.equal({ '': 1 })
    expect(await scrape('cashflow_db_payments_pending_by_waiting_for')).to.include({ queue: 5, operator: 1, retry: 0 })
    expect(await scrape('cashflow_db_payments_pending_by_age')).to.deep.equal({
      under_1m: 2,
      '1m_to_10m': 3,
      '10m_to_1h': 0,
      over_1h: 0,
    })
    expect((await scrape('cashflow_db_payments_pending_oldest_seconds'))['']).to.be.within(300, 310)
    expect((await scrape('cashflow_db_payments_overdue_seconds'))['']).to.be.within(240, 250)
  })

  it('facts: counts 10,000 PENDING payments exactly, and caps one more', async () => {
    await storePayments(10_000, 5)
    await facts.start(signal)
    await eventually(async () => expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 10_000 }))
    expect(await scrape('cashflow_db_payments_pending_capped')).to.deep.equal({ '': 0 })
    await storePayments(2, 5)
    await eventually(async () => expect(await scrape('cashflow_db_payments_pending_capped')).to.deep.equal({ '': 1 }))
    expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 10_000 })
    const heads = Object.values(await scrape('cashflow_db_payments_pending_by_waiting_for'))
    expect(heads.reduce((sum, payments) => sum + payments)).to.equal(1_000)
  })

  it('facts: counts each payment once, 70 seconds after its creation, and whether it was settled in time', async () => {
    await facts.start(signal)
    await eventually(() => expect(facts.last).not.to.equal(undefined))
    const before = (await scrape('cashflow_db_payments_created_total'))[''] ?? 0
    await storePayments(4, 68, { settledS: 0.5 })
    await storePayments(3, 68, { settledS: 30 })
    await storePayments(2, 68, { settledS: 61 })
    await storePayments(1, 68)
    await storePayments(5, 10, { settledS: 1 })
    expect(before).to.equal(0)
    await eventually(async () => expect(await scrape('cashflow_db_payments_created_total')).to.deep.equal({ '': 10 }))
    expect(await scrape('cashflow_db_payments_settled_total')).to.deep.equal({ 1: 4, 5: 4, 60: 7 })
    const counted = facts.last
    await eventually(() => expect(facts.last).not.to.equal(counted))
    expect(await scrape('cashflow_db_payments_created_total')).to.deep.equal({ '': 10 })
    expect(await scrape('cashflow_db_payments_created_capped')).to.deep.equal({ '': 0 })
  })

  it('facts: counts also the payments that became 70 seconds old while PostgreSQL was away', async () => {
    await facts.start(signal)
    await eventually(() => expect(facts.last).not.to.equal(undefined))
    proxy.cut()
    await eventually(() =>
      expect(recorded.logged()).to.include('could not read the facts of the database, trying again'),
    )
    await storePayments(6, 68, { settledS: 100 })
    await eventually(async () => {
      const { rows } = await sql`select from payments where created_at < now() - interval '71 seconds'`.execute(
        store.db,
      )
      expect(rows).to.have.length(6)
    })
    proxy.restore()
    await eventually(async () => expect(await scrape('cashflow_db_payments_created_total')).to.deep.equal({ '': 6 }))
    expect(await scrape('cashflow_db_payments_settled_total')).to.deep.equal({ 1: 0, 5: 0, 60: 0 })
  })

  it('facts: shows dead letters by source, the age of the oldest snapshot, and the running and the lost processes', async () => {
    for (const [source, key] of [
      ['worker', '1'],
      ['worker', '2'],
      ['queue', '1'],
      ['unknown', '1'],
    ] as const)
      await sql`insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        values (0, gen_random_uuid(), ${key}, 't', '{}', ${source}, 'r')`.execute(store.db)
    for (const [role, seconds] of [
      ['api', 1],
      ['api', 2],
      ['relay', 60],
      ['worker', 3_600],
    ] as const)
      await sql`insert into instances (id, role, instance, version, started_at, seen_at, counters)
        values (gen_random_uuid(), ${role}, 'i', '1', now(), now() - ${seconds}::int * interval '1 second', '{}')`.execute(
        store.db,
      )
    const holder = await openClient(store.database.url)
    await holder.query('begin isolation level repeatable read; select 1')
    await facts.start(signal)
    await eventually(async () => expect((await scrape('cashflow_db_oldest_xmin_seconds'))['']).to.be.above(0.2))
    await storePayments(1, 1)
    await eventually(async () => expect((await scrape('cashflow_db_oldest_xmin_transactions'))['']).to.be.above(0))
    const letters = await scrape('cashflow_db_dead_letters')
    expect(letters).to.deep.equal({ worker: 2, database: 0, queue: 1, outbox: 0, other: 1 })
    expect(await scrape('cashflow_db_instances')).to.deep.equal({ api: 2, relay: 0, worker: 0, webhooks: 0 })
    expect(await scrape('cashflow_db_instances_lost')).to.deep.equal({ api: 0, relay: 1, worker: 0, webhooks: 0 })
    await holder.query('commit')
    await holder.end()
    await eventually(async () => expect((await scrape('cashflow_db_oldest_xmin_seconds'))['']).to.be.below(0.2))
  })

  // Promise 102
  it('facts: a scrape answers at once while PostgreSQL does not, with the last facts and their age', async () => {
    await storePayments(1, 5)
    await facts.start(signal)
    await eventually(async () => expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 1 }))
    proxy.freeze()
    const age = async () => (await scrape('cashflow_db_facts_age_seconds'))[''] ?? 0
    await eventually(async () => expect(await age()).to.be.above(1))
    const startedAt = performance.now()
    expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 1 })
    expect(performance.now() - startedAt).to.be.below(200)
    proxy.restore()
    await eventually(async () => expect(await age()).to.be.below(1))
  })

  it('facts: those that are older than a minute are left out of a scrape', async () => {
    await storePayments(1, 5)
    await facts.start(signal)
    await eventually(() => expect(facts.last).not.to.equal(undefined))
    const shownAt = async (ageMs: number) => {
      registry = new Registry()
      registerFacts(registry, { ...facts, last: facts.last, totals: facts.totals, ageMs })
      return [await scrape('cashflow_db_payments_pending'), await scrape('cashflow_db_facts_age_seconds')]
    }
    expect(await shownAt(59_000)).to.deep.equal([{ '': 1 }, { '': 59 }])
    expect(await shownAt(61_000)).to.deep.equal([{}, { '': 61 }])
  })

  it('facts: a row that PostgreSQL cannot read leaves out the facts of its table, and no others', async () => {
    await storePayments(1, 5)
    const damage = await createUnreadableRows(store.database.url, { table: 'payments', condition: 'true' })
    await db.destroy()
    observe(damage.url)
    await facts.start(signal)
    await eventually(async () => expect(await scrape('cashflow_db_dead_letters')).to.include({ worker: 0 }))
    expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({})
    expect(recorded.logged()).to.deep.equal(['could not read the facts of the database, trying again'])
    await damage.heal()
    await eventually(async () => expect(await scrape('cashflow_db_payments_pending')).to.deep.equal({ '': 1 }))
    await facts.stop()
    await db.destroy()
    await damage.drop()
  })
})

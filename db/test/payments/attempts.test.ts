import { randomUUID } from 'node:crypto'
import { aMessage, OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql, type Transaction } from 'kysely'
import { advancePayment, cancelPayment, type Tables } from '../../src/index.ts'
import { settleByHand } from '../../src/operator.ts'
import { recordAttempts } from '../../src/payments/attempts.ts'
import { unparkPayment } from '../../src/payments/parked.ts'
import { redriveUnreadable } from '../../src/payments/redrive.ts'
import { type Cause, claimOverdue, parkPayment, redriveNow, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

const ALL_TIME = [{ from: 0, to: Number.POSITIVE_INFINITY }]
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe('payment_attempts', () => {
  let store: TestStore
  let id: string
  let merchantId: string
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())
  beforeEach(async () => {
    ;({ id, merchantId } = await store.insert())
  })

  const attempts = () =>
    store.db
      .selectFrom('payment_attempts')
      .select(['kind', 'actor', 'attempts', 'data'])
      .where('payment_id', '=', id)
      .orderBy('id')
      .execute()
  const kinds = async () => (await attempts()).map(({ kind }) => kind)
  const set = (assignments: string) =>
    sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(store.db)
  const claim = (token: string = randomUUID()) =>
    claimPayment(store.db, id, { token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })
  const expire = () => set("lease_until = now() - interval '1 second'")
  const transact = <Result>(work: (tx: Transaction<Tables>) => Promise<Result>) => store.db.transaction().execute(work)
  const release = (cause: Cause, reason?: string) =>
    transact((tx) => saveRetry(tx, id, { cause, delayMsAfter: () => 7, redriveAfterMs: 60_000, data: { reason } }))

  it('payment_attempts: claims of free payments, settlements by hand and cancels add no row', async () => {
    await claim()
    await expire()
    await settleByHand(store.db, { paymentId: id, outcome: { outcome: 'approved' }, reason: 'x', by: OPERATOR })
    expect(await kinds()).to.deep.equal([])
    ;({ id, merchantId } = await store.insert())
    await cancelPayment(store.db, { merchantId, id, requestId: 'r' })
    expect(await kinds()).to.deep.equal([])
  })

  it('payment_attempts: a release says why, and what the attempts are after it', async () => {
    for (const cause of ['unanswered', 'refused', 'pending', 'uncounted'] as const) {
      await claim()
      await release(cause, `because of ${cause}`)
      await expire()
    }
    const released = { kind: 'released', actor: 'worker' }
    expect(await attempts()).to.deep.equal([
      { kind: 'unanswered', actor: 'worker', attempts: 1, data: { reason: 'because of unanswered', delay_ms: 7 } },
      { ...released, attempts: 1, data: { reason: 'because of refused', delay_ms: 7 } },
      { ...released, attempts: 0, data: { reason: 'because of pending', delay_ms: 7 } },
      { ...released, attempts: 0, data: { reason: 'because of uncounted', delay_ms: 7 } },
    ])
  })

  it('payment_attempts: a claim that counts an expired lease adds a row once, with the end and the token of that lease', async () => {
    const [first, second] = [randomUUID(), randomUUID()]
    await claim(first)
    expect(await claim(second)).to.include({ verdict: 'leased' })
    expect(await kinds()).to.deep.equal([])
    await expire()
    for (let time = 0; time < 2; time += 1) expect(await claim(second)).to.include({ verdict: 'claimed', attempts: 1 })
    const [row, ...others] = await attempts()
    expect(others).to.deep.equal([])
    expect(row).to.deep.include({ kind: 'expired', actor: 'worker', attempts: 1 })
    expect(row?.data).to.have.all.keys('claim_token', 'lease_until').and.to.include({ claim_token: first })
    expect(row?.data.lease_until).to.match(ISO)
  })

  // Promise 105
  it('payment_attempts: a payment has at most ten rows of expired leases, however often it is requeued', async () => {
    for (let time = 0; time < 12; time += 1) {
      await claim()
      await set("attempts = 0, lease_until = now() - interval '1 second'")
    }
    expect(await claim()).to.include({ verdict: 'claimed' })
    expect(await kinds()).to.deep.equal(Array(10).fill('expired'))
  })

  it('payment_attempts: damage of the table holds up no payment', async () => {
    await sql`create function is_damaged() returns trigger language plpgsql as
      ${sql.lit("begin raise exception 'invalid page' using errcode = 'XX001'; end")}`.execute(store.db)
    await sql`create trigger damage before insert on payment_attempts for each row execute function is_damaged()`.execute(
      store.db,
    )
    await claim()
    expect(await release('unanswered', 'no answer')).to.include({ attempts: 1, delayMs: 7 })
    expect(await kinds()).to.deep.equal([])
    const { attempts: counted } = await store.db
      .selectFrom('payments')
      .select('attempts')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    await sql`drop trigger damage on payment_attempts`.execute(store.db)
    expect(counted).to.equal(1)
  })

  it('payment_attempts: a payment that is parked after an expired lease has a row for both', async () => {
    const token = randomUUID()
    await claim(token)
    await expire()
    expect(await transact((tx) => parkPayment(tx, id, 2, 'other attempts'))).to.equal(false)
    expect(await transact((tx) => parkPayment(tx, id, 1, 'its worker died'))).to.equal(true)
    const [expired, parked] = await attempts()
    expect(expired).to.deep.include({ kind: 'expired', actor: 'worker', attempts: 1 })
    expect(expired?.data).to.include({ claim_token: token })
    expect(expired?.data.lease_until).to.match(ISO)
    expect(parked).to.deep.equal({ kind: 'parked', actor: 'worker', attempts: 1, data: { reason: 'its worker died' } })
    expect(await transact((tx) => parkPayment(tx, id, 1))).to.equal(false)
    expect(await kinds()).to.deep.equal(['expired', 'parked'])
  })

  it('payment_attempts: a requeue adds a row, also that of a payment whose row was damaged', async () => {
    await transact((tx) => parkPayment(tx, id, 0))
    expect(await transact((tx) => unparkPayment(tx, id))).to.equal(true)
    expect(await transact((tx) => unparkPayment(tx, id))).to.equal(false)
    expect(await transact((tx) => redriveUnreadable(tx, id))).to.equal(true)
    expect(await kinds()).to.deep.equal(['parked', 'requeued', 'requeued'])
    expect((await attempts()).slice(1)).to.deep.equal(
      Array.from({ length: 2 }, () => ({ kind: 'requeued', actor: 'operator', attempts: 1, data: {} })),
    )
  })

  it('payment_attempts: a redrive adds a row, a redrive that changes nothing adds none', async () => {
    const reason = 'its message reached the dead letter queue'
    expect(await transact((tx) => redriveNow(tx, id, { reason }))).to.equal('advanced')
    const due = () =>
      transact((tx) => claimOverdue(tx, { redriveAfterMs: 60_000, batchMax: 100, spans: ALL_TIME, traced: false }))
    await due()
    expect(await transact((tx) => redriveNow(tx, id))).to.equal('waiting')
    await set("redrive_at = now(), claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'")
    expect(await due()).to.include({ leased: 1 })
    await set('claim_token = null, lease_until = null')
    const message = aMessage({ key: id, topic: 'payment.retry' })
    expect((await advancePayment(store.db, { merchantId, id, message })).outcome).to.equal('advanced')
    const redriven = { kind: 'redriven', attempts: 0 }
    expect(await attempts()).to.deep.equal([
      { ...redriven, actor: 'worker', data: { reason } },
      { ...redriven, actor: 'worker', data: { redrives: 1 } },
      { ...redriven, actor: 'api', data: { reason: 'a request to advance it' } },
    ])
  })

  // Promise 105
  it('payment_attempts: a payment that is redriven and looked up for days has at most ten rows of a kind, the last one with the last time', async () => {
    for (let look = 1; look <= 12; look += 1) {
      await claim()
      await release('pending', `look ${look}`)
      await expire()
    }
    const redrive = (redrives: number) =>
      transact((tx) =>
        recordAttempts(tx, [{ paymentId: id, kind: 'redriven', actor: 'worker', attempts: 0, data: { redrives } }]),
      )
    for (let redrives = 1; redrives <= 11; redrives += 1) await redrive(redrives)
    const rows = await attempts()
    const ofKind = (wanted: string) => rows.filter(({ kind }) => kind === wanted).map(({ data }) => data)
    expect(ofKind('released').map(({ reason }) => reason)).to.deep.equal([
      ...Array.from({ length: 9 }, (_, at) => `look ${at + 1}`),
      'look 12',
    ])
    expect(ofKind('released').map(({ repeats }) => repeats)).to.deep.equal([...Array.from({ length: 9 }), 3])
    expect(ofKind('redriven')).to.have.length(10)
    expect(ofKind('redriven').at(-1)).to.deep.equal({ redrives: 11, repeats: 2 })
    const { rows: times } = await sql<{ kind: string }>`
      select kind from payment_attempts where payment_id = ${id} order by at desc limit 1`.execute(store.db)
    expect(times).to.deep.equal([{ kind: 'redriven' }])
  })

  it('payment_attempts: of payments that are recorded together, each has its own rows', async () => {
    const others = [await store.insert(), await store.insert()].map((payment) => payment.id)
    const record = (ids: readonly string[]) =>
      transact((tx) =>
        recordAttempts(
          tx,
          ids.map((paymentId) => ({ paymentId, kind: 'redriven' as const, actor: 'worker', attempts: 0 })),
        ),
      )
    for (let time = 0; time < 10; time += 1) await record([id])
    await record([id, ...others])
    const { rows } = await sql<{ payment_id: string; rows: number }>`
      select payment_id, count(*)::int as rows from payment_attempts where payment_id = any(${[id, ...others]})
      group by 1 order by array_position(${[id, ...others]}::uuid[], payment_id)`.execute(store.db)
    expect(rows.map((row) => row.rows)).to.deep.equal([10, 1, 1])
    expect((await attempts()).at(-1)?.data).to.deep.equal({ repeats: 2 })
  })

  it('payment_attempts: a reason that jsonb cannot hold is stored without what it cannot hold, and a long one is cut', async () => {
    await release('unanswered', `a\u0000b\ud800c${'d'.repeat(5_000)}`)
    const [row] = await attempts()
    expect(row?.data.reason).to.equal(`ab\ufffdc${'d'.repeat(995)}`)
  })
})

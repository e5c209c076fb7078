import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID, outcomeMessage, retryMessage, settlePayment } from '@cashflow/domain'
import { buryMessage, scheduleMessages } from '@cashflow/outbox'
import { eventually, OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  createMerchant,
  type FoundByName,
  findById,
  findByReference,
  pause,
  readTimeline,
  resume,
} from '../../src/operator.ts'
import { parkPayment, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

describe('timeline of a payment', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  async function found(search: Promise<FoundByName>) {
    const result = await search
    return result.done ? result.payments : expect.fail(result.why)
  }
  const timelineOf = async (id: string) => defined(await readTimeline(store.db, id), 'timeline')
  const claimOf = (token: string) => ({ token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })
  async function settle(payment: Awaited<ReturnType<TestStore['insert']>>, trace?: object): Promise<void> {
    const token = randomUUID()
    await claimPayment(store.db, payment.id, claimOf(token))
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date())
    if (!settlement.settled) throw new Error('bug: it is settled')
    const messages = [
      outcomeMessage(settlement.payment, settlement.event, { messageId: randomUUID(), requestId: 'r-1' }),
    ]
    await storeSettlements(store.db, [
      { ...settlement, token, actor: 'worker', requestId: 'r-1', previousHash: null, trace, messages },
    ])
  }
  it('has all that happened in the order of time, with what the worker noted', async () => {
    const payment = await store.insert()
    const at = (ms: number) => new Date(payment.createdAt.getTime() + ms).toISOString()
    await sql`insert into payment_attempts (payment_id, at, kind, actor, attempts, data)
      values (${payment.id}, ${at(20)}, 'unanswered', 'worker', 1, '{"reason": "HTTP 503"}')`.execute(store.db)
    await sql`insert into operator_actions (at, actor, via, action, target, reason)
      values (${at(30)}, 'eve@host', 'cashflow', 'redrive', ${payment.id}, 'late')`.execute(store.db)
    const moments = { claimed_at: at(40), asked_at: at(41), answered_at: at(42) }
    await settle(payment, { instance: 'host:7', attempt: 2, ...moments })
    await sql`update payment_events set created_at = ${at(50)} where payment_id = ${payment.id} and sequence = 2`.execute(
      store.db,
    )
    const { entries, notRecorded, messages, ...facts } = await timelineOf(payment.id)
    expect(entries.map(({ what, by }) => `${what} ${by}`)).to.deep.equal([
      'payment.created api',
      'unanswered worker',
      'redrive eve@host',
      'claimed host:7',
      'provider asked host:7',
      'provider answered host:7',
      'payment.succeeded worker',
    ])
    expect(entries[1]?.facts).to.deep.equal({ attempts_after: 1, reason: 'HTTP 503' })
    expect(entries[3]?.facts).to.deep.equal({ attempt: 2 })
    expect(messages.map(({ topic }) => topic)).to.deep.equal(['payment.succeeded'])
    expect(notRecorded).to.deep.equal([])
    expect(facts.payment).to.include({ status: 'SUCCESS', waiting: null })
    expect(facts).to.deep.include({ leaseUntil: null, redriveAt: null, pauses: [] })
  })

  it('has what verify finds in the payment, its events and their hashes', async () => {
    const payment = await store.insert()
    expect((await timelineOf(payment.id)).findings).to.deep.equal([])
    await sql`update payments set amount_minor = 100 where id = ${payment.id}`.execute(store.db)
    const { findings } = await timelineOf(payment.id)
    expect(findings.map(({ what, expected, found }) => [what, expected, found])).to.deep.equal([
      ['amount', '100.50', '1.00'],
    ])
  })

  it('has the dead letter of a parked payment behind the attempt that it was parked for', async () => {
    const { id } = await store.insert()
    const token = randomUUID()
    await claimPayment(store.db, id, claimOf(token))
    const letter = {
      ...retryMessage(id, { messageId: randomUUID(), requestId: 'r-1' }),
      source: 'worker',
      reason: 'r',
      attempts: 1,
    }
    await store.db.transaction().execute(async (tx) => {
      const trace = { attempt: 1, reason: 'HTTP 503' }
      await saveRetry(tx, id, { delayMsAfter: () => 1_234.5, redriveAfterMs: 60_000, data: trace })
      await parkPayment(tx, id, 1, 'r')
      await buryMessage(tx, letter)
    })
    const { entries } = await timelineOf(id)
    expect(entries.map(({ what }) => what)).to.deep.equal(['payment.created', 'unanswered', 'parked', 'dead letter'])
    expect(Object.entries(entries[1]?.facts ?? {})).to.deep.equal([
      ['attempt', 1],
      ['attempts_after', 1],
      ['reason', 'HTTP 503'],
      ['delay_ms', 1_235],
    ])
  })

  it('rounds the delays that an earlier version has stored', async () => {
    const { id } = await store.insert()
    await sql`insert into payment_attempts (payment_id, kind, actor, attempts, data)
      values (${id}, 'unanswered', 'worker', 1, '{"delay_ms": 165861.1607913308}')`.execute(store.db)
    expect((await timelineOf(id)).entries[1]?.facts).to.deep.equal({ attempts_after: 1, delay_ms: 165_862 })
  })

  it('has an event whose time is infinity, as only a change by hand stores it, behind the others', async () => {
    const { id } = await store.insert()
    await sql`update payment_events set created_at = 'infinity' where payment_id = ${id}`.execute(store.db)
    await sql`insert into payment_attempts (payment_id, kind, actor, data) values (${id}, 'parked', 'worker', '{}')`.execute(
      store.db,
    )
    expect((await timelineOf(id)).entries.map(({ what }) => what)).to.deep.equal(['parked', 'payment.created'])
  })

  it('says what a PENDING payment waits for, with its messages, its letters and the pauses in force', async () => {
    const { id } = await store.insert()
    const retry = { messageId: randomUUID(), key: id, topic: 'payment.retry', payload: { payment_id: id } }
    await store.db.transaction().execute((tx) => scheduleMessages(tx, [retry], 60_000))
    await store.db
      .transaction()
      .execute((tx) => buryMessage(tx, { ...retry, source: 'database', reason: 'XX001', attempts: 0 }))
    await pause(store.db, { component: 'worker', reason: 'it moves', by: OPERATOR, forMs: undefined })
    const { payment, entries, messages, pauses } = await timelineOf(id)
    expect(payment.waiting?.for).to.equal('queue')
    expect(entries.at(-1)).to.deep.include({ what: 'dead letter', by: 'database' })
    expect(messages).to.have.length(1)
    expect(messages[0]).to.deep.include({ topic: 'payment.retry', refused: false })
    expect(messages[0]?.dueAt?.getTime()).to.be.greaterThan(Date.now())
    expect(pauses.map(({ reason }) => reason)).to.deep.equal(['it moves'])
    await resume(store.db, { component: 'worker', by: OPERATOR, reason: undefined })
    expect((await timelineOf(id)).pauses).to.deep.equal([])
    await claimPayment(store.db, id, claimOf(randomUUID()))
    const claimed = await timelineOf(id)
    expect(claimed.payment.waiting?.for).to.equal('provider')
    expect(claimed.leaseUntil?.getTime()).to.be.greaterThan(Date.now())
  })

  it('names what an earlier version has not recorded', async () => {
    const payment = await store.insert()
    await sql`update payments set attempts = 3 where id = ${payment.id}`.execute(store.db)
    expect((await timelineOf(payment.id)).notRecorded).to.deep.equal(['its 3 attempts without an outcome'])
    await sql`update payments set attempts = 0 where id = ${payment.id}`.execute(store.db)
    await settle(payment)
    expect((await timelineOf(payment.id)).notRecorded).to.deep.equal([
      'when a worker claimed it and asked the provider',
    ])
  })

  it('reads all tables in one snapshot, while the payment is settled', async () => {
    const payment = await store.insert()
    const other = await openClient(store.database.url)
    await other.query('begin; lock table operator_actions in access exclusive mode')
    const reading = timelineOf(payment.id)
    // The reader has read the payment when it waits for the lock.
    const waiters = () =>
      other.query('select from pg_locks where not granted and relation = $1::regclass', ['operator_actions'])
    await eventually(async () => expect((await waiters()).rowCount).to.equal(1))
    await settle(payment)
    await other.query('rollback')
    await other.end()
    const { payment: read, messages, entries } = await reading
    expect(read.status).to.equal('PENDING')
    expect(messages).to.deep.equal([])
    expect(entries.map(({ what }) => what)).to.deep.equal(['payment.created'])
    expect((await timelineOf(payment.id)).payment.status).to.equal('SUCCESS')
  })

  it('finds nothing for an unknown id', async () => {
    expect(await readTimeline(store.db, randomUUID())).to.equal(undefined)
    expect(await findById(store.db, randomUUID())).to.equal(undefined)
  })

  it('finds a reference of several merchants, and of one', async () => {
    const reference = 'shared'
    const { id } = await store.insert(reference)
    const made = await createMerchant(store.db, { name: 'Other', by: OPERATOR })
    if (!made.done) throw new Error(made.why)
    const other = made.merchant.id
    await sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status)
      values (${randomUUID()}, ${other}, ${reference}, 100, 'USD', 'PENDING')`.execute(store.db)
    const find = async (merchantId?: string) => found(findByReference(store.db, { reference, merchantId, limit: 10 }))
    expect((await find()).map(({ merchantId }) => merchantId)).to.have.members([DEFAULT_MERCHANT_ID, other])
    expect((await find(DEFAULT_MERCHANT_ID)).map((payment) => payment.id)).to.deep.equal([id])
    expect(await found(findByReference(store.db, { reference: 'SHARED', limit: 10 }))).to.deep.equal([])
  })

  it('finds a payment that was pruned, by its id and by its reference', async () => {
    const payment = await store.insert('pruned')
    await settle(payment)
    await sql`insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${payment.id}`.execute(
      store.db,
    )
    const byReference = () => found(findByReference(store.db, { reference: 'pruned', limit: 10 }))
    expect((await byReference()).map(({ status }) => status)).to.deep.equal(['SUCCESS'])
    await sql`delete from payments where id = ${payment.id}`.execute(store.db)
    const pruned = defined((await byReference())[0], 'pruned payment')
    expect(pruned).to.include({ id: payment.id, status: null, merchant: 'default' })
    expect(pruned.prunedAt).to.be.instanceOf(Date)
    expect(await findById(store.db, payment.id)).to.deep.equal(pruned)
  })
})

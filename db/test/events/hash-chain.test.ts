import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { type Outcome, type Payment, settlePayment } from '@cashflow/domain'
import { aPayment, OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { eventHash } from '../../src/events/hash.ts'
import { cancelPayment, insertPayments } from '../../src/index.ts'
import { settleByHand } from '../../src/operator.ts'
import { claimPayment, createTestStore, storePayments, storeSettlements, type TestStore } from '../test-store.ts'
import { versionBefore } from './version-before-hashes.ts'

const APPROVED: Outcome = { outcome: 'approved' }
const claimOf = (token: string) => ({ token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })

describe('hash chain of events', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  /** For each event whether its hash is the one of its facts and of the event before, and whether the payment has the last. */
  async function chainOf(id: string) {
    const events = await store.db
      .selectFrom('payment_events')
      .selectAll()
      .where('payment_id', '=', id)
      .orderBy('id')
      .execute()
    const { last_hash } = await store.db
      .selectFrom('payments')
      .select('last_hash')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    let previous: Buffer | undefined
    const hashes = events.map((event) => {
      const data = event.data as Record<string, unknown>
      const { payment_id, merchant_id, sequence, type, actor, request_id, created_at } = event
      const names = { paymentId: payment_id, merchantId: merchant_id, requestId: request_id, createdAt: created_at }
      previous = eventHash(previous, { ...names, sequence, type, data, actor })
      if (event.hash === null) return 'none'
      return event.hash.equals(previous) ? 'right' : 'wrong'
    })
    const last = last_hash && (last_hash.equals(defined(previous, 'event')) ? 'right' : 'stale')
    return { hashes, last: last ?? 'none' }
  }
  const set = (id: string, assignment: string) =>
    sql`update payments set ${sql.raw(assignment)} where id = ${id}`.execute(store.db)

  async function claim(id: string, token: string = randomUUID()) {
    const claimed = await claimPayment(store.db, id, claimOf(token))
    if (claimed.verdict !== 'claimed') throw new Error(claimed.verdict)
    return { token, previousHash: claimed.lastHash }
  }
  async function settle(payment: Payment, claimed: Awaited<ReturnType<typeof claim>>, outcome: Outcome = APPROVED) {
    const settlement = settlePayment(payment, outcome, new Date())
    if (!settlement.settled) throw new Error('A new payment is PENDING')
    const by = { actor: 'worker', requestId: undefined, messages: [], trace: { instance: 'a:1' } }
    const [status] = await storeSettlements(store.db, [{ ...settlement, ...claimed, ...by }])
    return status
  }

  // Promise 104
  it('hash chain: each event that api and worker store has the hash of its facts and of the event before', async () => {
    const odd = ['"\\\u2028é\u{1f600}', '10', 'x'.repeat(255)].map((name) => `${name}${randomUUID()}`.slice(-255))
    for (const reference of odd) {
      const payment = await store.insert(reference)
      expect(await chainOf(payment.id)).to.deep.equal({ hashes: ['right'], last: 'right' })
      expect(await settle(payment, await claim(payment.id))).to.equal('SUCCESS')
      expect(await chainOf(payment.id)).to.deep.equal({ hashes: ['right', 'right'], last: 'right' })
    }
  })

  it('hash chain: a repeated insert and a repeated settlement change no hash', async () => {
    const created = { ...aPayment(), requestId: 'r-1', messages: [] }
    const insert = () => storePayments(store.db, [created], { redriveAfterMs: 60_000 })
    await insert()
    await insert()
    const { payment } = created
    const claimed = await claim(payment.id)
    await settle(payment, claimed)
    expect(await settle(payment, claimed, { outcome: 'declined', failureCode: 'x' })).to.equal('SUCCESS')
    expect(await chainOf(payment.id)).to.deep.equal({ hashes: ['right', 'right'], last: 'right' })
  })

  it('hash chain: a claim that is made again, and one after an expired lease, return the hash of the last event', async () => {
    const { id } = await store.insert()
    const first = await claim(id)
    expect(first.previousHash).to.be.instanceOf(Buffer)
    expect(await claim(id, first.token)).to.deep.equal(first)
    await set(id, 'lease_until = now()')
    expect((await claim(id)).previousHash).to.deep.equal(first.previousHash)
  })

  it('hash chain: an operator and a client who settle a payment go on with its chain', async () => {
    const byHand = await store.insert()
    const decided = { paymentId: byHand.id, outcome: APPROVED, reason: 'the bank says "é" so', by: OPERATOR }
    expect(await settleByHand(store.db, decided)).to.deep.equal({ done: true })
    const { id, merchantId } = await store.insert()
    expect((await cancelPayment(store.db, { merchantId, id, requestId: 'r-2' })).outcome).to.equal('canceled')
    for (const settled of [byHand.id, id])
      expect(await chainOf(settled)).to.deep.equal({ hashes: ['right', 'right'], last: 'right' })
  })

  it('hash chain: a settlement that finds another last event than its claim is stored without a hash', async () => {
    for (const between of ["last_hash = sha256('another')", 'last_hash = null']) {
      const payment = await store.insert()
      const claimed = await claim(payment.id)
      await set(payment.id, between)
      expect(await settle(payment, claimed)).to.equal('SUCCESS')
      expect(await chainOf(payment.id)).to.deep.equal({ hashes: ['right', 'none'], last: 'none' })
    }
  })

  it('hash chain: of a batch, only the settlement that finds another last event is stored without a hash', async () => {
    const payments = [await store.insert(), await store.insert(), await store.insert()]
    const settlings = await Promise.all(
      payments.map(async (payment) => {
        const settlement = settlePayment(payment, APPROVED, new Date())
        if (!settlement.settled) throw new Error('A new payment is PENDING')
        return { ...settlement, ...(await claim(payment.id)), actor: 'worker', requestId: 'r', messages: [] }
      }),
    )
    await set(defined(payments[1], 'payment').id, 'last_hash = null')
    expect(await storeSettlements(store.db, settlings)).to.deep.equal(['SUCCESS', 'SUCCESS', 'SUCCESS'])
    expect(await Promise.all(payments.map(async ({ id }) => (await chainOf(id)).hashes[1]))).to.deep.equal([
      'right',
      'none',
      'right',
    ])
  })

  // Promise 104
  it('hash chain: an api or a worker of the version before works next to this one, and leaves a gap in the chain', async () => {
    const before = versionBefore(store.db)
    const insert = async (byVersionBefore: boolean) => {
      const created = { ...aPayment(), requestId: 'r-1', messages: [] }
      if (byVersionBefore) await before.insert(created)
      else await store.db.transaction().execute((tx) => insertPayments(tx, [created], { redriveAfterMs: 60_000 }))
      return created.payment
    }
    async function settleAs(byVersionBefore: boolean, payment: Payment) {
      if (!byVersionBefore) return await settle(payment, await claim(payment.id))
      const settlement = settlePayment(payment, APPROVED, new Date())
      if (!settlement.settled) throw new Error('A new payment is PENDING')
      const token = randomUUID()
      expect(await before.claim(payment.id, token)).to.equal('claimed')
      expect(await before.settle({ ...settlement, token })).to.equal(true)
      return 'SUCCESS'
    }
    const chains = []
    for (const byApiBefore of [false, true]) {
      for (const byWorkerBefore of [false, true]) {
        const payment = await insert(byApiBefore)
        expect(await settleAs(byWorkerBefore, payment)).to.equal('SUCCESS')
        chains.push(await chainOf(payment.id))
      }
    }
    expect(chains).to.deep.equal([
      { hashes: ['right', 'right'], last: 'right' },
      { hashes: ['right', 'none'], last: 'stale' },
      { hashes: ['none', 'none'], last: 'none' },
      { hashes: ['none', 'none'], last: 'none' },
    ])
  })
})

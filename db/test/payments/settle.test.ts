import { randomUUID } from 'node:crypto'
import { type Outcome, outcomeMessage, type Payment, settlePayment } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

const BY = { actor: 'worker', requestId: 'r-2', previousHash: null }
const DECLINED = { outcome: 'declined', failureCode: 'card_declined' } as const
const claimOf = (token: string = randomUUID()) => ({ token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })

describe('settlePayments', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const history = (id: string) =>
    store.db.selectFrom('payment_events').selectAll().where('payment_id', '=', id).orderBy('sequence').execute()
  const expireLease = (id: string) =>
    store.db
      .updateTable('payments')
      .set({ lease_until: new Date(0) })
      .where('id', '=', id)
      .execute()

  async function settle(payment: Payment, token: string, outcome: Outcome = DECLINED) {
    const settlement = settlePayment(payment, outcome, new Date())
    if (!settlement.settled) throw new Error('A new payment is PENDING')
    const settling = { ...settlement, token, ...BY, messages: [] }
    const [status] = await storeSettlements(store.db, [settling])
    return status
  }

  it('stores a settlement once, however often the claim repeats it', async () => {
    const payment = await store.insert()
    const { id } = payment
    const { token } = claimOf()
    await claimPayment(store.db, id, claimOf(token))
    const results = await Promise.all(Array.from({ length: 8 }, () => settle(payment, token)))
    expect(new Set(results)).to.deep.equal(new Set(['FAILED']))
    // The first settlement counts, also for a repetition with another outcome.
    expect(await settle(payment, token, { outcome: 'approved' })).to.equal('FAILED')
    expect(await row(id)).to.include({
      status: 'FAILED',
      failure_code: 'card_declined',
      redrive_at: null,
      lease_until: null,
    })
    const events = await history(id)
    expect(events.map(({ type, sequence, actor }) => [type, sequence, actor])).to.deep.equal([
      ['payment.created', 1, 'api'],
      ['payment.failed', 2, 'worker'],
    ])
    expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'settled', status: 'FAILED' })
  })

  it('settles a payment as the claim that holds it says, when a fenced claim of the same batch says otherwise', async () => {
    const payment = await store.insert()
    const [lost, held] = [claimOf(), claimOf()]
    await claimPayment(store.db, payment.id, lost)
    await expireLease(payment.id)
    await claimPayment(store.db, payment.id, held)
    const settlings = [lost, held].map(({ token }, index) => {
      const settlement = settlePayment(payment, index === 0 ? DECLINED : { outcome: 'approved' }, new Date())
      if (!settlement.settled) throw new Error('A new payment is PENDING')
      const messages = [
        outcomeMessage(settlement.payment, settlement.event, { messageId: randomUUID(), requestId: 'r-2' }),
      ]
      return { ...settlement, token, ...BY, messages }
    })
    expect(await storeSettlements(store.db, settlings)).to.deep.equal([undefined, 'SUCCESS'])
    expect((await history(payment.id)).map(({ type }) => type)).to.deep.equal(['payment.created', 'payment.succeeded'])
    const messages = await store.db
      .selectFrom('outbox_messages')
      .select('topic')
      .where('key', '=', payment.id)
      .execute()
    expect(messages).to.deep.equal([{ topic: 'payment.succeeded' }])
  })

  // Promise 16
  it('stores nothing for a claim that another claim has replaced', async () => {
    const payment = await store.insert()
    const { id } = payment
    const { token } = claimOf()
    await claimPayment(store.db, id, claimOf(token))
    await expireLease(id)
    await claimPayment(store.db, id, claimOf())
    expect(await settle(payment, token)).to.equal(undefined)
    expect(await history(id)).to.have.length(1)
    expect(await row(id)).to.include({ status: 'PENDING' })
  })

  // Promise 2
  it('cannot store a second transition, as the sequence of an event is unique in PostgreSQL', async () => {
    const { id } = await store.insert()
    const insert = () =>
      sql`insert into payment_events (payment_id, merchant_id, sequence, type, actor)
        select id, merchant_id, 2, 'payment.succeeded', 'test' from payments where id = ${id}`.execute(store.db)
    await insert()
    const refused = await insert().then(
      () => undefined,
      (error: { code?: string }) => error,
    )
    expect(refused).to.include({ code: '23505' })
  })

  it('stores each column of a payment, an event and a message as it was given', async () => {
    const created = await store.insert()
    const { id } = created
    const claim = claimOf()
    await claimPayment(store.db, id, claim)
    const settledAt = new Date('2026-01-02T03:04:05.006Z')
    const payment = { ...created, status: 'FAILED', failureCode: 'a_code', settledAt } as const
    const messageId = randomUUID()
    const { merchantId } = created
    const event = {
      type: 'payment.failed',
      paymentId: id,
      merchantId,
      sequence: 7,
      data: { some: 'data' },
      at: new Date('2026-02-03T04:05:06.007Z'),
    } as const
    const message = {
      messageId,
      key: id,
      topic: 'a topic',
      payload: { a: 'payload' },
      headers: { a: 'header' },
      mandatory: false,
    }
    const { token } = claim
    const by = { actor: 'an actor', requestId: 'a request', previousHash: null, trace: { a: 'trace' } }
    const settlement = { payment, event, token, ...by, messages: [message] }
    expect(await storeSettlements(store.db, [settlement])).to.deep.equal(['FAILED'])

    const { claim_token, ...stored } = await row(id)
    expect(claim_token).to.equal(token)
    expect(stored).to.deep.include({
      status: 'FAILED',
      failure_code: 'a_code',
      settled_at: settledAt,
      lease_until: null,
      redrive_at: null,
    })
    const [, recorded] = await history(id)
    expect(recorded).to.deep.include({
      payment_id: id,
      merchant_id: merchantId,
      sequence: 7,
      type: 'payment.failed',
      data: { some: 'data' },
      actor: 'an actor',
      request_id: 'a request',
      created_at: event.at,
      trace: { a: 'trace' },
    })
    const appended = await store.db.selectFrom('outbox_messages').selectAll().where('key', '=', id).execute()
    expect(appended).to.have.length(1)
    expect(appended[0]).to.deep.include({
      message_id: messageId,
      topic: 'a topic',
      payload: { a: 'payload' },
      headers: { a: 'header' },
      mandatory: false,
    })
  })
})

import { randomUUID } from 'node:crypto'
import { type Outcome, outcomeMessage, type Payment, settlePayment } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { parkPayment, saveRetry } from '../../src/index.ts'
import { unparkPayment } from '../../src/payments/parked.ts'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

const DECLINED = { outcome: 'declined', failureCode: 'card_declined' } as const
const claimOf = (token: string = randomUUID()) => ({ token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })

describe('the payment store', () => {
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

  describe('claiming', () => {
    it('takes a payment that is PENDING, and lends it for the lease', async () => {
      const { id } = await store.insert()
      const options = claimOf()
      const claim = await claimPayment(store.db, id, options)
      expect(claim).to.deep.include({ verdict: 'claimed', attempts: 0 })
      const { claim_token, lease_until, redrive_at } = await row(id)
      expect(claim_token).to.equal(options.token)
      expect(Number(lease_until)).to.be.closeTo(Date.now() + 20_000, 5_000)
      // Later than the lease's end, and so left as the insert made it.
      expect(Number(redrive_at)).to.be.closeTo(Date.now() + 60_000, 5_000)
    })

    it('moves a redrive behind a lease that would outlast it', async () => {
      const { id } = await store.insert()
      await claimPayment(store.db, id, { ...claimOf(), leaseMs: 70_000 })
      expect(Number((await row(id)).redrive_at)).to.be.closeTo(Date.now() + 130_000, 5_000)
    })

    it('brings back a redrive that others before it have put off for long', async () => {
      const { id } = await store.insert()
      await sql`update payments set redrives = 6, redrive_at = now() + interval '1 hour' where id = ${id}`.execute(
        store.db,
      )
      await claimPayment(store.db, id, claimOf())
      const { redrive_at, redrives } = await row(id)
      expect(Number(redrive_at)).to.be.closeTo(Date.now() + 80_000, 5_000)
      expect(redrives).to.equal(0)
    })

    it('gives one payment to one of many workers at once', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { id } = await store.insert()
        const claims = await Promise.all(Array.from({ length: 16 }, () => claimPayment(store.db, id, claimOf())))
        const verdicts = claims.map(({ verdict }) => verdict).sort()
        expect(verdicts).to.deep.equal(['claimed', ...Array.from({ length: 15 }, () => 'leased')])
      }
    })

    it('says how long another lease lasts', async () => {
      const { id } = await store.insert()
      await claimPayment(store.db, id, claimOf())
      const claim = await claimPayment(store.db, id, claimOf())
      expect(claim.verdict === 'leased' && claim.leaseLeftMs).to.be.within(1, 20_000)
    })

    it('finds its own lease when the same claim is made again', async () => {
      const { id } = await store.insert()
      const options = claimOf()
      await claimPayment(store.db, id, options)
      expect(await claimPayment(store.db, id, options)).to.deep.include({ verdict: 'claimed', attempts: 0 })
    })

    it('counts a lease that ran out as an attempt, and ends with the last', async () => {
      const { id } = await store.insert()
      for (let attempts = 0; attempts < 3; attempts += 1) {
        expect(await claimPayment(store.db, id, claimOf())).to.deep.include({ verdict: 'claimed', attempts })
        await expireLease(id)
      }
      expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'exhausted', attempts: 3 })
    })

    it("knows what is settled, parked or nobody's", async () => {
      const { id } = await store.insert()
      await store.db.transaction().execute((tx) => parkPayment(tx, id, 0))
      expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'parked' })
      expect(await claimPayment(store.db, randomUUID(), claimOf())).to.deep.equal({ verdict: 'unknown' })
    })
  })

  describe('settling', () => {
    async function settle(payment: Payment, token: string, outcome: Outcome = DECLINED) {
      const settlement = settlePayment(payment, outcome, new Date())
      if (!settlement.settled) throw new Error('A new payment is PENDING')
      const settling = { ...settlement, token, actor: 'worker', requestId: 'r-2', messages: [] }
      const [status] = await storeSettlements(store.db, [settling])
      return status
    }

    it('stores the end once, whoever tries again', async () => {
      const payment = await store.insert()
      const { id } = payment
      const { token } = claimOf()
      await claimPayment(store.db, id, claimOf(token))
      const results = await Promise.all(Array.from({ length: 8 }, () => settle(payment, token)))
      expect(new Set(results)).to.deep.equal(new Set(['FAILED']))
      // As it was settled, whatever a later attempt of the same claim would make of it.
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

    it('goes by the claim where two of them bring their ends of a payment together', async () => {
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
        return { ...settlement, token, actor: 'worker', requestId: 'r-2', messages }
      })
      expect(await storeSettlements(store.db, settlings)).to.deep.equal([undefined, 'SUCCESS'])
      expect((await history(payment.id)).map(({ type }) => type)).to.deep.equal([
        'payment.created',
        'payment.succeeded',
      ])
      const messages = await store.db
        .selectFrom('outbox_messages')
        .select('topic')
        .where('key', '=', payment.id)
        .execute()
      expect(messages).to.deep.equal([{ topic: 'payment.succeeded' }])
    })

    it('is refused to a claim that another has replaced', async () => {
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

    it('is refused by the database itself the second time', async () => {
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
  })

  describe('postponing', () => {
    it('charges an attempt, and keeps everybody away until the next is due', async () => {
      const { id } = await store.insert()
      await claimPayment(store.db, id, claimOf())
      const postponed = await store.db
        .transaction()
        .execute((tx) =>
          saveRetry(tx, id, { delayMsAfter: ({ attempts }) => attempts * 60_000, redriveAfterMs: 60_000 }),
        )
      expect(postponed).to.include({ attempts: 1, refusals: 0, delayMs: 60_000 })
      const claim = await claimPayment(store.db, id, claimOf())
      expect(claim.verdict === 'leased' && claim.leaseLeftMs).to.be.within(1, 60_000)
      await expireLease(id)
      expect(await claimPayment(store.db, id, claimOf())).to.deep.include({ verdict: 'claimed', attempts: 1 })
    })

    it('parks a payment out of the reach of redrives, unless somebody is at work on it', async () => {
      const { id } = await store.insert()
      await claimPayment(store.db, id, claimOf())
      const park = () => store.db.transaction().execute((tx) => parkPayment(tx, id, 1))
      expect(await park()).to.equal(false)
      await expireLease(id)
      expect(await park()).to.equal(true)
      expect(await row(id)).to.include({ status: 'PENDING', redrive_at: null, claim_token: null, attempts: 1 })
      expect(await park()).to.equal(false)
    })

    it('parks no payment for attempts that an operator has taken from it since', async () => {
      const { id } = await store.insert()
      const park = (attempts: number) => store.db.transaction().execute((tx) => parkPayment(tx, id, attempts))
      await sql`update payments set attempts = 3 where id = ${id}`.execute(store.db)
      expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'exhausted', attempts: 3 })
      expect(await park(3)).to.equal(true)
      await store.db.transaction().execute((tx) => unparkPayment(tx, id))
      expect(await park(3)).to.equal(false)
      expect(await row(id)).to.include({ attempts: 1, parked_at: null })
    })
  })
})

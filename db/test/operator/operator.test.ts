import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage, listDeadLetters } from '@cashflow/outbox'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { discard, requeue, settleByHand } from '../../src/operator.ts'
import { parkPayment, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

const APPROVED = { outcome: 'approved' } as const
const NO_SUCH_LETTER = { done: false, why: 'No unresolved dead letter has this id.' }

describe("the operator's commands", () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const letters = (key: string) =>
    store.db.selectFrom('dead_letters').selectAll().where('key', '=', key).orderBy('id').execute()
  const letterIdOf = async (key: string) => defined((await letters(key)).at(-1), `dead letter of ${key}`).id
  const outbox = (key: string) => store.db.selectFrom('outbox_messages').selectAll().where('key', '=', key).execute()
  const bury = (source: string, key: string) =>
    store.db.transaction().execute((tx) =>
      buryMessage(tx, {
        messageId: randomUUID(),
        key,
        topic: 'payment.retry',
        payload: { payment_id: key },
        headers: { 'x-request-id': 'r-1' },
        source,
        reason: 'HTTP 503',
        attempts: 10,
      }),
    )
  async function parked(): Promise<string> {
    const { id } = await store.insert()
    await sql`update payments set attempts = 10, redrives = 3 where id = ${id}`.execute(store.db)
    await store.db.transaction().execute((tx) => parkPayment(tx, id, 10))
    await bury('worker', id)
    return id
  }
  const claimOf = (token = randomUUID()) => ({ token, leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })

  describe('dead list', () => {
    it('returns unresolved dead letters, the oldest first', async () => {
      const [first, second, third] = [await parked(), await parked(), await parked()]
      await settleByHand(store.db, { paymentId: second, outcome: APPROVED, reason: 'x', by: OPERATOR })
      const keys = (await listDeadLetters(store.db, { limit: 1_000 })).map(({ key }) => key)
      expect(keys.filter((key) => [first, second, third].includes(key))).to.deep.equal([first, third])
      expect(await listDeadLetters(store.db, { limit: 1 })).to.have.length(1)
    })
  })

  describe('dead requeue', () => {
    // Promise 18
    it('unparks a payment with attempts = 1, and resolves its dead letter', async () => {
      const id = await parked()
      expect(await requeue(store.db, await letterIdOf(id), { by: OPERATOR })).to.deep.equal({ done: true })
      const { redrive_at, ...payment } = await row(id)
      expect(payment).to.include({ status: 'PENDING', parked_at: null, attempts: 1, redrives: 0 })
      expect(Number(redrive_at)).to.be.closeTo(Date.now(), 5_000)
      expect((await letters(id))[0]).to.include({ resolution: 'requeued' })
      // With attempts > 0, the provider is first asked whether an earlier attempt already charged.
      expect(await claimPayment(store.db, id, claimOf())).to.include({ verdict: 'claimed', attempts: 1 })
    })

    // Promise 18
    it('keeps provider_pending_since of a parked payment, and resets its refusals', async () => {
      const id = await parked()
      await sql`update payments set refusals = 3, provider_pending_since = now() - interval '3 days' where id = ${id}`.execute(
        store.db,
      )
      const { provider_pending_since: since } = await row(id)
      await requeue(store.db, await letterIdOf(id), { by: OPERATOR })
      const requeued = await row(id)
      expect(requeued).to.include({ refusals: 0 })
      expect(requeued.provider_pending_since).to.deep.equal(since)
      expect(await claimPayment(store.db, id, claimOf())).to.include({ verdict: 'claimed', pending: true })
    })

    // Promise 30
    it('unparks a payment once, however many operators requeue it at the same time', async () => {
      const id = await parked()
      const letterId = await letterIdOf(id)
      const results = await Promise.all(Array.from({ length: 5 }, () => requeue(store.db, letterId, { by: OPERATOR })))
      expect(results.filter(({ done }) => done)).to.have.length(1)
      expect(await requeue(store.db, letterId, { by: OPERATOR })).to.deep.equal(NO_SUCH_LETTER)
    })

    it("moves a relay's message back into the outbox unchanged", async () => {
      const key = randomUUID()
      await bury('outbox', key)
      const letter = defined((await letters(key)).at(0), 'dead letter of the message')
      const results = await Promise.all(Array.from({ length: 5 }, () => requeue(store.db, letter.id, { by: OPERATOR })))
      expect(results.filter(({ done }) => done)).to.have.length(1)
      const [message, ...more] = await outbox(key)
      expect(more).to.deep.equal([])
      expect(message).to.deep.include({
        message_id: letter.message_id,
        lane: letter.lane,
        topic: 'payment.retry',
        payload: { payment_id: key },
        headers: { 'x-request-id': 'r-1' },
        mandatory: true,
        attempts: 0,
      })
    })

    it('refuses a message that no worker can read, a payment that is not parked, and an unknown id', async () => {
      const [unreadable, unknown] = [randomUUID(), randomUUID()]
      await bury('queue', unreadable)
      await bury('worker', unknown)
      for (const key of [unreadable, unknown]) {
        expect(await requeue(store.db, await letterIdOf(key), { by: OPERATOR })).to.include({ done: false })
        expect((await letters(key))[0]).to.include({ resolution: null })
      }
      expect(await requeue(store.db, await letterIdOf(unknown), { by: OPERATOR })).to.deep.include({
        why: `No payment has the id ${unknown}: it was never stored, or it was deleted. Discard this dead letter.`,
      })
      const pruned = randomUUID()
      await bury('worker', pruned)
      await sql`insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
        values (${DEFAULT_MERCHANT_ID}, 'pruned', ${pruned}, 100, 'USD')`.execute(store.db)
      expect(await requeue(store.db, await letterIdOf(pruned), { by: OPERATOR })).to.deep.include({
        why: `Payment ${pruned} was pruned. Discard this dead letter.`,
      })
      expect(await requeue(store.db, '999999999', { by: OPERATOR })).to.deep.equal(NO_SUCH_LETTER)
    })
  })

  describe('dead discard', () => {
    it('resolves a dead letter with the reason', async () => {
      const key = randomUUID()
      await bury('queue', key)
      const id = await letterIdOf(key)
      expect(await discard(store.db, id, { by: OPERATOR, reason: 'a test of ours' })).to.deep.equal({ done: true })
      expect((await letters(key))[0]).to.include({ resolution: 'discarded: a test of ours' })
      expect(await discard(store.db, id, { by: OPERATOR, reason: 'again' })).to.deep.equal(NO_SUCH_LETTER)
    })

    // Promise 31
    it('refuses the dead letter of a parked payment, which no list would show without it', async () => {
      const id = await parked()
      expect(await discard(store.db, await letterIdOf(id), { by: OPERATOR, reason: 'x' })).to.include({ done: false })
      expect((await letters(id))[0]).to.include({ resolution: null })
    })
  })

  describe('settle', () => {
    const settle = (paymentId: string, outcome: Parameters<typeof settleByHand>[1]['outcome'] = APPROVED) =>
      settleByHand(store.db, { paymentId, outcome, reason: 'the bank says so', by: OPERATOR })
    const history = (id: string) =>
      store.db
        .selectFrom('payment_events')
        .select(['type', 'sequence', 'actor', 'data'])
        .where('payment_id', '=', id)
        .where('sequence', '>', 1)
        .execute()

    it('settles a parked payment with its event and message, and resolves its dead letter', async () => {
      const id = await parked()
      expect(await settle(id.toUpperCase())).to.deep.equal({ done: true })
      expect(await row(id)).to.include({ status: 'SUCCESS', parked_at: null, redrive_at: null, failure_code: null })
      expect(await history(id)).to.deep.equal([
        { type: 'payment.succeeded', sequence: 2, actor: 'operator', data: { reason: 'the bank says so' } },
      ])
      expect((await outbox(id))[0]).to.deep.include({
        topic: 'payment.succeeded',
        payload: { payment_id: id, status: 'SUCCESS' },
        mandatory: false,
      })
      expect((await letters(id))[0]).to.include({ resolution: 'settled as SUCCESS: the bank says so' })
    })

    it('fails a payment with a failure code, and publishes the code without the reason', async () => {
      const { id } = await store.insert()
      await settle(id, { outcome: 'declined', failureCode: 'fraud' })
      expect(await row(id)).to.include({ status: 'FAILED', failure_code: 'fraud' })
      expect((await history(id))[0]?.data).to.deep.equal({ failure_code: 'fraud', reason: 'the bank says so' })
      expect((await outbox(id))[0]?.payload).to.deep.equal({ payment_id: id, status: 'FAILED', failure_code: 'fraud' })
    })

    // Promise 29
    it('settles a payment once, however many operators settle it at the same time', async () => {
      const id = await parked()
      const results = await Promise.all(Array.from({ length: 8 }, () => settle(id)))
      expect(results.filter(({ done }) => done)).to.have.length(1)
      expect(await history(id)).to.have.length(1)
      expect(await settle(id)).to.deep.equal({ done: false, why: 'The payment is SUCCESS already.' })
    })

    // Promise 29
    it('refuses a payment that a worker holds, and replaces the claim after its lease has ended', async () => {
      const { id } = await store.insert()
      const claim = claimOf()
      await claimPayment(store.db, id, claim)
      expect(await settle(id)).to.include({ done: false })
      expect(await row(id)).to.include({ status: 'PENDING', claim_token: claim.token })
      await sql`update payments set lease_until = now() - interval '1 second' where id = ${id}`.execute(store.db)
      expect(await settle(id)).to.deep.equal({ done: true })
      expect((await row(id)).claim_token).to.not.equal(claim.token)
    })

    it('settles a payment that the provider has not decided yet', async () => {
      const { id } = await store.insert()
      const release = { cause: 'pending', delayMsAfter: () => 30_000, redriveAfterMs: 60_000 } as const
      await claimPayment(store.db, id, claimOf())
      await store.db.transaction().execute((tx) => saveRetry(tx, id, release))
      expect(await settle(id)).to.deep.equal({ done: true })
      expect(await row(id)).to.include({ status: 'SUCCESS', lease_until: null, redrive_at: null })
    })

    it('settles a payment that waits for its next attempt', async () => {
      const { id } = await store.insert()
      await sql`update payments set lease_until = now() + interval '1 minute' where id = ${id}`.execute(store.db)
      expect(await settle(id)).to.deep.equal({ done: true })
    })

    it('refuses an id that no payment has', async () => {
      expect(await settle(randomUUID())).to.deep.equal({ done: false, why: 'No payment has this id.' })
    })

    it('changes nothing if one of its statements fails', async () => {
      const id = await parked()
      await sql`insert into payment_events (payment_id, merchant_id, sequence, type, actor)
        select id, merchant_id, 2, 'payment.succeeded', 'test' from payments where id = ${id}`.execute(store.db)
      const failed = await settle(id).then(
        () => false,
        () => true,
      )
      expect(failed).to.equal(true)
      expect(await row(id)).to.include({ status: 'PENDING' })
      expect((await letters(id))[0]).to.include({ resolution: null })
    })
  })
})

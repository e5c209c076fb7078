import { randomUUID } from 'node:crypto'
import { defined, pause } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID, outcomeMessage, settlePayment } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import fc from 'fast-check'
import { sql } from 'kysely'
import { cancelPayment } from '../../src/index.ts'
import { requeue, settleByHand } from '../../src/operator.ts'
import { parkPayment, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

const APPROVED = { outcome: 'approved' } as const

describe('cancel', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const cancel = (id: string, merchantId = DEFAULT_MERCHANT_ID) =>
    cancelPayment(store.db, { merchantId, id, requestId: 'r-cancel' })
  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const claimOf = (token = randomUUID()) => ({ token, leaseMs: 20_000, attemptsMax: 10, redriveAfterMs: 60_000 })
  const set = (id: string, assignments: string) =>
    sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(store.db)
  const endings = (id: string) =>
    store.db
      .selectFrom('payment_events')
      .select(['type', 'sequence', 'actor', 'request_id', 'data'])
      .where('payment_id', '=', id)
      .where('sequence', '>', 1)
      .execute()
  const messages = (id: string) =>
    store.db.selectFrom('outbox_messages').select(['topic', 'payload', 'mandatory']).where('key', '=', id).execute()

  async function park(id: string, attempts: number): Promise<string> {
    await set(id, `attempts = ${attempts}`)
    await store.db.transaction().execute(async (tx) => {
      await parkPayment(tx, id, attempts)
      await buryMessage(tx, {
        ...{ messageId: randomUUID(), key: id, topic: 'payment.retry', payload: { payment_id: id } },
        ...{ source: 'worker', reason: 'refused', attempts },
      })
    })
    const letters = await store.db.selectFrom('dead_letters').select('id').where('key', '=', id).execute()
    return defined(letters[0], 'dead letter').id
  }

  // Promise 91
  it('cancel: ends a payment as FAILED with the code canceled, with event and message', async () => {
    const { id } = await store.insert()
    const canceled = await cancel(id)
    expect(canceled).to.deep.include({ outcome: 'canceled' })
    const { settled_at, ...stored } = await row(id)
    expect(stored).to.include({ status: 'FAILED', failure_code: 'canceled', redrive_at: null, lease_until: null })
    expect(settled_at).to.be.a('date')
    expect(canceled).to.have.nested.property('payment.status', 'FAILED')
    expect(canceled).to.have.nested.property('payment.waiting', null)
    expect(await endings(id)).to.deep.equal([
      {
        ...{ type: 'payment.failed', sequence: 2, actor: 'api', request_id: 'r-cancel' },
        data: { failure_code: 'canceled' },
      },
    ])
    expect(await messages(id)).to.deep.equal([
      {
        topic: 'payment.failed',
        payload: { payment_id: id, status: 'FAILED', failure_code: 'canceled' },
        mandatory: false,
      },
    ])
  })

  // Promise 91
  it('cancel: repeated, answers as before and changes nothing', async () => {
    const { id } = await store.insert()
    await cancel(id)
    const before = await row(id)
    for (let n = 0; n < 2; n++) expect(await cancel(id)).to.deep.include({ outcome: 'canceled' })
    expect(await row(id)).to.deep.equal(before)
    expect(await endings(id)).to.have.length(1)
    expect(await messages(id)).to.have.length(1)
  })

  it('cancel: ends a payment that was released without an attempt', async () => {
    const { id } = await store.insert()
    const released = { cause: 'uncounted', delayMsAfter: () => 30_000, redriveAfterMs: 60_000 } as const
    await claimPayment(store.db, id, claimOf())
    await store.db.transaction().execute((tx) => saveRetry(tx, id, released))
    expect(await cancel(id)).to.deep.include({ outcome: 'canceled' })
  })

  // Promise 91
  it('cancel: ends a parked payment that was never charged, and resolves its dead letter', async () => {
    const { id } = await store.insert()
    const letter = await park(id, 0)
    expect(await cancel(id)).to.deep.include({ outcome: 'canceled' })
    expect(await row(id)).to.include({ status: 'FAILED', parked_at: null })
    const { resolution } = await store.db
      .selectFrom('dead_letters')
      .select('resolution')
      .where('id', '=', letter)
      .executeTakeFirstOrThrow()
    expect(resolution).to.equal('canceled')
  })

  // Promise 91
  it('cancel: refuses a payment whose row was unreadable, until an operator has requeued or settled it', async () => {
    const { id } = await store.insert()
    // As after a repair from a backup of before the charge: the row shows no attempt.
    await store.db.transaction().execute((tx) =>
      buryMessage(tx, {
        ...{ messageId: randomUUID(), key: id, topic: 'payment.retry', payload: { payment_id: id } },
        ...{ source: 'database', reason: 'XX001', attempts: 0 },
      }),
    )
    expect(await cancel(id)).to.deep.include({ outcome: 'refused' })
    expect(await row(id)).to.include({ status: 'PENDING', claim_token: null })
    const letters = store.db.selectFrom('dead_letters').select('id').where('key', '=', id)
    const letter = await letters.where('resolved_at', 'is', null).executeTakeFirstOrThrow()
    expect(await requeue(store.db, letter.id, { by: OPERATOR })).to.deep.equal({ done: true })
    expect(await cancel(id)).to.deep.include({ outcome: 'refused' })
  })

  const REFUSED: [state: string, waitingFor: string, arrange: (id: string) => Promise<unknown>][] = [
    ['a worker has', 'provider', (id) => claimPayment(store.db, id, claimOf())],
    [
      'a worker had when it was killed within the charge',
      'worker',
      async (id) => {
        await claimPayment(store.db, id, claimOf())
        await set(id, "lease_until = now() - interval '1 second'")
      },
    ],
    [
      'had an attempt without an answer',
      'retry',
      async (id) => {
        await claimPayment(store.db, id, claimOf())
        const unanswered = { delayMsAfter: () => 30_000, redriveAfterMs: 60_000 }
        await store.db.transaction().execute((tx) => saveRetry(tx, id, unanswered))
      },
    ],
    [
      'the processor has answered with 202',
      'pending',
      async (id) => {
        await claimPayment(store.db, id, claimOf())
        const pending = { cause: 'pending', delayMsAfter: () => 30_000, redriveAfterMs: 60_000 } as const
        await store.db.transaction().execute((tx) => saveRetry(tx, id, pending))
        expect(await row(id)).to.include({ attempts: 0, claim_token: null })
      },
    ],
    ['is parked after ten attempts', 'operator', (id) => park(id, 10)],
    [
      'was parked after ten attempts and requeued',
      'retry',
      async (id) => expect(await requeue(store.db, await park(id, 10), { by: OPERATOR })).to.deep.equal({ done: true }),
    ],
  ]
  for (const [state, waitingFor, arrange] of REFUSED) {
    // Promise 91
    it(`cancel: refuses a payment that ${state}, and changes nothing`, async () => {
      const { id } = await store.insert()
      await arrange(id)
      const before = await row(id)
      const refused = await cancel(id)
      expect(refused).to.deep.include({ outcome: 'refused' })
      expect(refused).to.have.nested.property('payment.waiting.for', waitingFor)
      expect(await row(id)).to.deep.equal(before)
      expect(await endings(id)).to.deep.equal([])
    })
  }

  for (const outcome of [APPROVED, { outcome: 'declined', failureCode: 'no_funds' }] as const) {
    it(`cancel: refuses a payment that is settled as ${outcome.outcome}`, async () => {
      const { id } = await store.insert()
      await settleByHand(store.db, { paymentId: id, outcome, reason: 'x', by: OPERATOR })
      const refused = await cancel(id)
      expect(refused).to.deep.include({ outcome: 'refused' })
      expect(refused).to.have.nested.property('payment.waiting', null)
    })
  }

  it('cancel: finds no payment of another merchant', async () => {
    const { id } = await store.insert()
    expect(await cancel(id, randomUUID())).to.deep.equal({ outcome: 'unknown' })
    expect(await row(id)).to.include({ status: 'PENDING' })
  })

  // Promise 91
  it('cancel: of a cancel and a worker that race for a payment exactly one wins', async () => {
    const starts = fc.array(fc.nat(3), { minLength: 1, maxLength: 3 })
    const race = async (cancelsAt: number[], claimsAt: number[]) => {
      const payment = await store.insert()
      const { id } = payment
      const cancels = cancelsAt.map(async (ms) => {
        await pause(ms)
        return (await cancel(id)).outcome
      })
      const claims = claimsAt.map(async (ms) => {
        await pause(ms)
        const token = randomUUID()
        const { verdict } = await claimPayment(store.db, id, claimOf(token))
        if (verdict !== 'claimed') return verdict
        const settlement = settlePayment(payment, APPROVED, new Date())
        if (!settlement.settled) throw new Error('bug: not settled')
        const sent = [outcomeMessage(settlement.payment, settlement.event, { messageId: randomUUID(), requestId: 'r' })]
        const settling = { ...settlement, token, actor: 'worker', requestId: 'r', previousHash: null, messages: sent }
        expect(await storeSettlements(store.db, [settling]), 'a claim is not fenced').to.deep.equal(['SUCCESS'])
        return verdict
      })
      const [canceled, claimed] = [await Promise.all(cancels), await Promise.all(claims)]
      const { status, failure_code } = await row(id)
      if (canceled.includes('canceled')) {
        expect({ status, failure_code }).to.deep.equal({ status: 'FAILED', failure_code: 'canceled' })
        expect(canceled, 'all cancels agree').to.not.include('refused')
        expect(claimed, 'no worker charges').to.not.include('claimed')
      } else {
        expect(status).to.equal('SUCCESS')
        expect(claimed.filter((verdict) => verdict === 'claimed')).to.have.length(1)
      }
      expect(await endings(id)).to.have.length(1)
      expect(await messages(id)).to.have.length(1)
      return status
    }
    const ended = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(starts, starts), { minLength: 5, maxLength: 5 }), async (races) => {
        for (const status of await Promise.all(races.map((each) => race(...each)))) ended.add(status)
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 10) },
    )
    expect([...ended].toSorted(), 'each side won at least once').to.deep.equal(['FAILED', 'SUCCESS'])
  }).timeout(60_000)
})

import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type BatchOptions, createBatches } from '../src/batches.ts'
import { processPayment } from '../src/process-payment.ts'
import { attemptCharge, type Charge, type Provider, type ProviderAnswer } from '../src/provider/provider.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }

describe('processPayment', () => {
  let payments: TestWorker
  before(async () => {
    payments = await createTestWorker()
  })
  after(() => payments.drop())
  beforeEach(() => {
    payments.lines.length = 0
  })

  const settled: { id: string; createdAt: Date }[] = []
  const message = (paymentId: string) => ({ paymentId, messageId: 'm-1', requestId: 'r-1' })
  /** Processes the payment as a separate worker does, with separate batches. */
  function process(paymentId: string, chargeAtProvider: Provider['charge'], options: Partial<BatchOptions> = {}) {
    const { db, logger } = payments
    const shared = { db, providerDeadlineMs: 5_000, redriveAfterMs: 60_000, attemptsMax: 10, ...options }
    const charge: Charge = (payment, attempt) => attemptCharge({ charge: chargeAtProvider }, payment, attempt)
    const own = { batches: createBatches(shared), logger, charge }
    const noted = (id: string, _: string, createdAt: Date) => void settled.push({ id, createdAt })
    return processPayment(message(paymentId), { ...shared, ...own, settled: noted }, new AbortController().signal)
  }

  const outbox = (table: 'outbox_messages' | 'outbox_scheduled' | 'dead_letters', key: string) =>
    payments.db.selectFrom(table).select(['topic', 'payload', 'headers', 'mandatory']).where('key', '=', key).execute()
  const eventTypes = async (id: string) =>
    (
      await payments.db
        .selectFrom('payment_events')
        .select('type')
        .where('payment_id', '=', id)
        .orderBy('sequence')
        .execute()
    ).map(({ type }) => type)

  // Promise 89
  it('settles an approved payment as SUCCESS, with one event and one message, and notifies APIs of it', async () => {
    const id = await payments.pending()
    expect(await process(id, async () => APPROVED)).to.equal('settled')
    expect(await payments.row(id)).to.include({ status: 'SUCCESS', failure_code: null, attempts: 0 })
    expect(await eventTypes(id)).to.deep.equal(['payment.created', 'payment.succeeded'])
    expect(await outbox('outbox_messages', id)).to.deep.equal([
      {
        topic: 'payment.succeeded',
        payload: { payment_id: id, status: 'SUCCESS' },
        headers: { 'x-request-id': 'r-1' },
        mandatory: false,
      },
    ])
    expect(payments.lines.at(-1)).to.deep.include({
      message: 'payment settled',
      fields: { payment_id: id, message_id: 'm-1', request_id: 'r-1', status: 'SUCCESS' },
    })
    expect(settled.at(-1)).to.deep.equal({ id, createdAt: (await payments.row(id)).created_at })
  })

  it('settles a declined payment as FAILED, with the failure code of the provider', async () => {
    const id = await payments.pending()
    await process(id, async () => ({ outcome: 'declined', failureCode: 'insufficient_funds' }))
    expect(await payments.row(id)).to.include({ status: 'FAILED', failure_code: 'insufficient_funds' })
    expect(await outbox('outbox_messages', id)).to.have.nested.property(
      '[0].payload.failure_code',
      'insufficient_funds',
    )
  })

  it('gives the provider a deadline that has passed when the lease has ended', async () => {
    const id = await payments.pending()
    const passed: boolean[] = []
    let now = 0
    const looking: Provider['charge'] = async (_payment, deadline) => {
      for (const at of [14_999, 15_000]) {
        now = at
        passed.push(deadline.passed())
      }
      return APPROVED
    }
    expect(await process(id, looking, { clocks: [() => now] })).to.equal('settled')
    expect(passed, 'before, after').to.deep.equal([false, true])
  })

  it('skips a settled payment, and logs that', async () => {
    const id = await payments.pending()
    await process(id, async () => APPROVED)
    const before = await payments.row(id)
    let calls = 0
    const again = async () => {
      calls += 1
      return APPROVED
    }
    expect(await process(id, again)).to.equal('skipped')
    expect(calls).to.equal(0)
    expect(await payments.row(id)).to.deep.equal(before)
    expect(payments.lines.at(-1)?.message).to.equal(`Skipping payment ${id} (already SUCCESS)`)
  })

  // Promise 15
  it('charges once for twenty deliveries at the same time, and reschedules the other nineteen', async () => {
    const id = await payments.pending()
    const answer = Promise.withResolvers<ProviderAnswer>()
    let calls = 0
    const charge = () => {
      calls += 1
      return answer.promise
    }
    const deliveries = Array.from({ length: 20 }, () => process(id, charge))
    await eventually(async () => expect(await outbox('outbox_scheduled', id)).to.have.length(19))
    answer.resolve(APPROVED)
    const results = (await Promise.all(deliveries)).sort()
    expect(results).to.deep.equal([...Array.from({ length: 19 }, () => 'rescheduled'), 'settled'])
    expect(calls).to.equal(1)
    expect((await outbox('outbox_scheduled', id))[0]).to.include({ topic: 'payment.retry', mandatory: true })
  })

  // Promise 17
  it('schedules a retry after an unknown answer, and parks the payment after the last attempt', async () => {
    const id = await payments.pending()
    const unknown = async (): Promise<ProviderAnswer> => ({ outcome: 'unknown', reason: 'HTTP 503' })
    for (const attempts of [1, 2]) {
      expect(await process(id, unknown, { attemptsMax: 3 })).to.equal('retry_scheduled')
      expect(await payments.row(id)).to.include({ status: 'PENDING', attempts, claim_token: null, parked_at: null })
      expect(await outbox('outbox_scheduled', id)).to.have.length(attempts)
      await payments.expireLease(id)
    }
    expect(await process(id, unknown, { attemptsMax: 3 })).to.equal('parked')
    const parked = await payments.row(id)
    expect(parked).to.include({ status: 'PENDING', attempts: 3, redrive_at: null })
    expect(parked.parked_at).to.be.instanceOf(Date)
    expect(await outbox('dead_letters', id)).to.have.length(1)
    expect(await eventTypes(id)).to.deep.equal(['payment.created'])
    expect(await process(id, async () => APPROVED)).to.equal('skipped')
  })

  it('schedules no retry before the time that the provider asked for', async () => {
    const id = await payments.pending()
    const asks = async (): Promise<ProviderAnswer> => ({ outcome: 'unknown', reason: 'HTTP 429', retryAfterMs: 90_000 })
    expect(await process(id, asks)).to.equal('retry_scheduled')
    expect(Number((await payments.row(id)).lease_until)).to.be.closeTo(Date.now() + 90_000, 5_000)
    const { due_at } = await payments.db
      .selectFrom('outbox_scheduled')
      .select('due_at')
      .where('key', '=', id)
      .executeTakeFirstOrThrow()
    expect(Number(due_at)).to.be.closeTo(Date.now() + 90_000, 5_000)
  })

  it('gives the provider the number of earlier attempts without an answer', async () => {
    const id = await payments.pending()
    const seen: number[] = []
    const charge: Provider['charge'] = async (_payment, _signal, { attempts }) => {
      seen.push(attempts)
      return seen.length < 3 ? { outcome: 'unknown', reason: 'HTTP 503' } : APPROVED
    }
    for (const expected of ['retry_scheduled', 'retry_scheduled', 'settled']) {
      expect(await process(id, charge)).to.equal(expected)
      await payments.expireLease(id)
    }
    expect(seen).to.deep.equal([0, 1, 2])
  })

  for (const [answer, delayMs] of [
    [{ outcome: 'rejected', reason: 'HTTP 401' }, 60_000],
    [{ outcome: 'not_attempted' }, 1_000],
  ] as const) {
    it(`releases the claim, and counts no attempt, when the charge is ${answer.outcome}`, async () => {
      const id = await payments.pending()
      expect(await process(id, async () => answer, { attemptsMax: 1 })).to.equal('released')
      const given = await payments.row(id)
      expect(given).to.include({ status: 'PENDING', attempts: 0, claim_token: null, parked_at: null })
      expect(Number(given.lease_until)).to.be.closeTo(Date.now() + delayMs, 5_000)
      expect(await outbox('outbox_scheduled', id)).to.have.length(1)
      await payments.expireLease(id)
      expect(await process(id, async () => APPROVED)).to.equal('settled')
    })
  }

  // Promise 17
  it('parks a payment whose last claim expired without an answer', async () => {
    const id = await payments.pending()
    await payments.db
      .updateTable('payments')
      .set({ claim_token: randomUUID(), lease_until: new Date(0), attempts: 2 })
      .where('id', '=', id)
      .execute()
    expect(await process(id, async () => APPROVED, { attemptsMax: 3 })).to.equal('parked')
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 3 })
    const letters = await payments.db.selectFrom('dead_letters').select('attempts').where('key', '=', id).execute()
    expect(letters).to.deep.equal([{ attempts: 3 }])
  })

  // Promise 17
  it('parks an exhausted payment once, and logs that once, when ten deliveries of it are processed at the same time', async () => {
    const id = await payments.pending()
    await payments.set(id, `claim_token = '${randomUUID()}', lease_until = now(), attempts = 2`)
    const charge = async () => APPROVED
    // The claims wait for one lock, so that several of them read the payment before any of them parks it.
    const { deliveries } = await payments.db.transaction().execute(async (tx) => {
      await sql`select from payments where id = ${id} for update`.execute(tx)
      const begun = Array.from({ length: 10 }, () => process(id, charge, { attemptsMax: 3 }))
      await eventually(async () => {
        const { rows } = await sql`select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`.execute(payments.db)
        expect(rows.length).to.be.at.least(3)
      })
      return { deliveries: begun }
    })
    const processed = await Promise.all(deliveries)
    expect(processed.sort()).to.deep.equal(['parked', ...Array.from({ length: 9 }, () => 'skipped')])
    expect(payments.logged().filter((line) => line === 'payment parked')).to.have.length(1)
    expect(await outbox('dead_letters', id)).to.have.length(1)
  })

  // Promise 16
  it('keeps the settlement of another worker after its own lease has ended', async () => {
    const id = await payments.pending()
    const slow = Promise.withResolvers<ProviderAnswer>()
    const asked = Promise.withResolvers<void>()
    const first = process(id, () => {
      asked.resolve()
      return slow.promise
    })
    await asked.promise
    await payments.expireLease(id)
    expect(await process(id, async () => APPROVED)).to.equal('settled')
    slow.resolve({ outcome: 'declined', failureCode: 'late' })
    expect(await first).to.equal('claim_lost')
    expect(await outbox('outbox_scheduled', id), 'only this message may lead to the payment').to.have.length(1)
    expect(await payments.row(id)).to.include({ status: 'SUCCESS', attempts: 1 })
    expect(await eventTypes(id)).to.deep.equal(['payment.created', 'payment.succeeded'])
  })

  it('makes a dead letter of a message that names no payment', async () => {
    const id = randomUUID()
    expect(await process(id, async () => APPROVED)).to.equal('parked')
    expect(await outbox('dead_letters', id)).to.have.length(1)
  })
})

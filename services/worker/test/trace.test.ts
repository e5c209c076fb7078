import { randomUUID } from 'node:crypto'
import { pause } from '@cashflow/async'
import { INSTANCE } from '@cashflow/runtime'
import { expect } from 'chai'
import { createBatches } from '../src/batches.ts'
import { processPayment } from '../src/process-payment.ts'
import type { ProviderAnswer } from '../src/provider/provider.ts'
import { refuseToSimulate } from '../src/simulate.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const APPROVED: ProviderAnswer = { outcome: 'approved' }
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe('trace of a payment', () => {
  let payments: TestWorker
  before(async () => {
    payments = await createTestWorker()
  })
  after(() => payments.drop())

  function process(paymentId: string, answer: () => Promise<ProviderAnswer>, attemptsMax = 10) {
    const { db, logger } = payments
    const shared = { db, providerDeadlineMs: 5_000, redriveAfterMs: 60_000, attemptsMax }
    const message = { paymentId, messageId: 'm-1', requestId: 'r-1' }
    const own = { batches: createBatches(shared), logger, settled() {}, charge: answer, simulate: refuseToSimulate }
    return processPayment(message, { ...shared, ...own }, new AbortController().signal)
  }

  /** The rows of `payment_attempts`, without the times of their members. */
  const attemptsOf = async (id: string) => {
    const query = payments.db.selectFrom('payment_attempts').select(['kind', 'actor', 'attempts', 'data'])
    const rows = await query.where('payment_id', '=', id).orderBy('id').execute()
    return rows.map(({ data: { claimed_at, asked_at, answered_at, delay_ms: _, ...data }, ...row }) => ({
      ...row,
      data,
      times: [claimed_at, asked_at, answered_at].map((time) => ISO.test(String(time))),
    }))
  }
  const traceOf = async (id: string) => {
    const query = payments.db.selectFrom('payment_events').select(['trace', 'created_at']).where('payment_id', '=', id)
    return (await query.orderBy('sequence').execute()).map(({ trace }) => trace)
  }

  it('settles with a trace of the attempt: instance, attempt, and the times of claim, request and answer', async () => {
    const id = await payments.pending()
    const startedAt = Date.now()
    const slow = async () => await pause(20).then(() => APPROVED)
    expect(await process(id, slow)).to.equal('settled')
    const [created, settledBy] = await traceOf(id)
    expect(created).to.equal(null)
    const { instance, attempt, ...times } = settledBy as Record<string, string>
    expect({ instance, attempt }).to.deep.equal({ instance: INSTANCE, attempt: 1 })
    expect(Object.keys(times).sort()).to.deep.equal(['answered_at', 'asked_at', 'claimed_at'])
    const [claimed, asked, answered] = ['claimed_at', 'asked_at', 'answered_at'].map((name) => {
      expect(times[name]).to.match(ISO)
      return Date.parse(times[name] ?? '')
    }) as [number, number, number]
    expect([startedAt, claimed, asked, answered - 15, Date.now()]).to.deep.equal(
      [startedAt, claimed, asked, answered - 15, Date.now()].toSorted((one, other) => one - other),
    )
    expect(await attemptsOf(id)).to.deep.equal([])
  })

  it('stores each attempt that does not settle, with what is known of it', async () => {
    const id = await payments.pending()
    const answers: ProviderAnswer[] = [
      { outcome: 'unknown', reason: 'HTTP 503' },
      { outcome: 'pending' },
      { outcome: 'rejected', reason: 'HTTP 401' },
      { outcome: 'not_attempted' },
    ]
    for (const answer of answers) {
      await process(id, async () => answer)
      await payments.expireLease(id)
    }
    const unanswered = { kind: 'unanswered', actor: 'worker', attempts: 1 }
    const released = { kind: 'released', actor: 'worker', attempts: 0 }
    const by = { instance: INSTANCE, attempt: 1 }
    expect(await attemptsOf(id)).to.deep.equal([
      { ...unanswered, data: { ...by, answer: 'unknown', reason: 'HTTP 503' }, times: [true, true, false] },
      { ...released, data: { ...by, attempt: 2, answer: 'pending' }, times: [true, true, true] },
      { ...released, data: { ...by, answer: 'rejected', reason: 'HTTP 401' }, times: [true, true, true] },
      { ...released, data: { ...by, answer: 'not_attempted' }, times: [true, false, false] },
    ])
    expect(await process(id, async () => APPROVED)).to.equal('settled')
    expect((await traceOf(id))[1]).to.include({ attempt: 1 })
    expect(await attemptsOf(id)).to.have.length(4)
  })

  it('stores an answer that no provider gave without a time of the request', async () => {
    const id = await payments.pending({ simulate: 'success' })
    expect(await process(id, async () => APPROVED)).to.equal('retry_scheduled')
    expect((await attemptsOf(id)).map(({ times }) => times)).to.deep.equal([[true, false, false]])
  })

  it('stores the expired lease and the parking of a payment whose last worker died', async () => {
    const id = await payments.pending()
    await payments.db
      .updateTable('payments')
      .set({ claim_token: randomUUID(), lease_until: new Date(0), attempts: 2 })
      .where('id', '=', id)
      .execute()
    expect(await process(id, async () => APPROVED, 3)).to.equal('parked')
    expect((await attemptsOf(id)).map(({ kind, attempts }) => [kind, attempts])).to.deep.equal([
      ['expired', 3],
      ['parked', 3],
    ])
  })
})

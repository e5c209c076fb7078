import { defined, eventually } from '@cashflow/async'

import { type Pipeline, startPipeline, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { type ApiError, type CashflowClient, createClient, type PaymentEvent, type Retry } from '../src/index.ts'

describe('@cashflow/client with a running system', function () {
  this.timeout(180_000)
  let pipeline: Pipeline
  let proxy: TcpProxy
  let client: CashflowClient
  let retries: Retry[]
  let references = 0

  before(async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, { PROVIDER_SUCCESS_RATE: '1' })
    proxy = await startTcpProxy(await urlOf(0))
  })
  beforeEach(() => {
    retries = []
    client = createClient({ url: proxy.url, attemptTimeoutMs: 2_000, onRetry: (retry) => retries.push(retry) })
  })
  after(async () => {
    await proxy.stop()
    await pipeline.stop()
  })

  async function urlOf(index: number): Promise<string> {
    return String((await defined(pipeline.processes.api[index], 'api').logged('listening')).url)
  }

  function aPayment(more: Partial<Parameters<CashflowClient['payments']['create']>[0]> = {}) {
    references += 1
    return { amount: '100.50', currency: 'USD', reference: `client-${references}`, ...more } as const
  }

  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => expect.fail('the call has not failed'),
      (error): ApiError => error,
    )

  // Promise 98
  it('client: takes a payment from create to its end, and shows its amount as it was sent', async () => {
    for (const amount of ['0.01', '100.50', '7.00', '9999999999999.99']) {
      const created = await client.payments.create(aPayment({ amount, metadata: { order: '7' } }))
      expect(created).to.include({ amount, status: 'PENDING', currency: 'USD' })
      expect(created.metadata).to.deep.equal({ order: '7' })
      const settled = await client.payments.waitFor(created.id)
      expect(settled).to.include({ id: created.id, amount, status: 'SUCCESS' })
      expect(await client.payments.get(created.id)).to.deep.equal(settled)
      const events = await client.payments.events(created.id)
      expect(events.map(({ type, actor, payment }) => [type, actor, payment?.amount])).to.deep.equal([
        ['payment.created', 'api', amount],
        ['payment.succeeded', 'worker', amount],
      ])
    }
  })

  // Promise 97
  it('client: makes one payment although two answers are lost', async () => {
    const before = proxy.lost
    proxy.loseAnswerTo('POST /api/v1/payments', { times: 2 })
    const payment = await client.payments.create(aPayment())
    expect([proxy.lost - before, retries.length]).to.deep.equal([2, 2])
    const { reference } = payment
    const stored = await pipeline.db.query('select id from payments where reference = $1', [reference])
    expect(stored.rows).to.deep.equal([{ id: payment.id }])
  })

  // Promise 97
  it('client: an API that is killed during a create, and a network that drops everything, make no second payment', async () => {
    const [first] = pipeline.processes.api
    await client.payments.get('unknown').catch(() => {})
    const creating = Array.from({ length: 20 }, () => client.payments.create(aPayment()))
    defined(first, 'api').kill('SIGKILL')
    await eventually(() => expect(retries).to.not.deep.equal([]))
    await pipeline.start('api')
    proxy.redirect(await urlOf(pipeline.processes.api.length - 1))
    proxy.freeze()
    const later = client.payments.create(aPayment())
    await eventually(() => expect(retries.some(({ error }) => /no answer within/.test(error.message))).to.equal(true))
    proxy.restore()
    const payments = await Promise.all([...creating, later])
    const found = await pipeline.db.query('select id from payments where reference = any($1)', [
      payments.map(({ reference }) => reference),
    ])
    expect(found.rows.map(({ id }) => id)).to.have.members(payments.map(({ id }) => id))
  })

  it('client: a repeated create with its own key gets the payment again, and another payment gets an error', async () => {
    const payment = aPayment()
    const options = { idempotencyKey: 'order "1"' }
    const created = await client.payments.create(payment, options)
    expect(await client.payments.create(payment, options)).to.deep.equal(created)
    expect((await client.payments.listPage({ idempotency_key: 'order "1"' })).data).to.have.length(1)
    const other = await failureOf(client.payments.create(aPayment({ amount: '1' }), options))
    expect(other).to.include({ code: 'idempotency-mismatch', status: 422, retryable: false, name: 'ApiError' })
    expect(other.problem).to.include({ payment_id: created.id })
    const taken = await failureOf(client.payments.create(payment))
    expect(taken).to.include({ code: 'duplicate-reference', status: 409, mayHaveHappened: false })
    expect(taken.requestId).to.equal(taken.problem?.request_id)
  })

  it('client: lists payments over pages, by their filters', async () => {
    const from = new Date()
    const created = await Promise.all(
      Array.from({ length: 5 }, () => client.payments.create(aPayment({ currency: 'ETB' }))),
    )
    const listed: string[] = []
    for await (const { id, amount } of client.payments.list({ currency: 'ETB', created_from: from, limit: 2 })) {
      expect(amount).to.equal('100.50')
      listed.push(id)
    }
    expect(listed).to.have.members(created.map(({ id }) => id))
    const page = await client.payments.listPage({ created_to: from, limit: 1 })
    expect(page.data[0]?.created_at.localeCompare(from.toISOString())).to.equal(-1)
    expect(page.has_more).to.equal(true)
  })

  it('client: waitFor returns a payment that is still PENDING at its deadline', async () => {
    for (const worker of pipeline.processes.worker) await worker.stop()
    const { id } = await client.payments.create(aPayment())
    const started = performance.now()
    expect(await client.payments.waitFor(id, { timeoutMs: 3_500 })).to.include({
      status: 'PENDING',
      waiting_for: 'queue',
    })
    expect(performance.now() - started).to.be.within(3_490, 4_500)
    await pipeline.start('worker')
    expect(await client.payments.waitFor(id)).to.include({ status: 'SUCCESS' })
  })

  it('client: cancels a payment that no worker has, again with the same answer, and no other', async () => {
    for (const worker of pipeline.processes.worker) await worker.stop()
    const { id } = await client.payments.create(aPayment())
    const canceled = await client.payments.cancel(id)
    expect(canceled).to.include({ status: 'FAILED', failure_code: 'canceled' })
    expect(await client.payments.cancel(id)).to.deep.equal(canceled)
    await pipeline.start('worker')
    const settled = await client.payments.waitFor((await client.payments.create(aPayment())).id)
    const refused = await failureOf(client.payments.cancel(settled.id))
    expect(refused).to.include({ code: 'not-cancelable' })
    expect(refused.problem).to.include({ payment_status: 'SUCCESS' })
  })

  // Promise 99
  it('client: follows events from a stored cursor over an outage, each once and in order', async () => {
    const stop = new AbortController()
    const seen: PaymentEvent[] = []
    const all: PaymentEvent[] = []
    let cursor: string | undefined
    for await (const page of client.events({ limit: 3 })) {
      all.push(...page.data)
      if (all.length >= 6) {
        cursor = page.next_cursor
        break
      }
    }
    const follow = async () => {
      for await (const page of client.events({ after: cursor, follow: true, signal: stop.signal }))
        seen.push(...page.data)
    }
    const following = failureOf(follow())
    await eventually(() => expect(seen).to.not.deep.equal([]))
    proxy.cut()
    await eventually(() => expect(retries.length).to.be.at.least(3))
    proxy.restore()
    const { id } = await client.payments.create(aPayment())
    await client.payments.waitFor(id)
    await eventually(() => expect(seen.filter(({ payment }) => payment?.id === id)).to.have.length(2))
    stop.abort(new Error('stopped'))
    expect(await following).to.have.property('message', 'stopped')
    const { rows } = await pipeline.db.query(
      "select 'evt_' || payment_id || '_' || sequence as id from payment_events order by payment_events.xid, payment_events.id",
    )
    expect([...all, ...seen].map((event) => event.id)).to.deep.equal(rows.map((row) => row.id))
  })

  it('client: a wrong key gets an error that says so', async () => {
    const api = await pipeline.start('api', {
      AUTH: 'api-key',
      KEY_PEPPER: 'p'.repeat(32),
      ALLOW_UNAUTHENTICATED: 'no',
    })
    const url = String((await api.logged('listening')).url)
    const error = await failureOf(
      createClient({ url, key: 'cf_test_wrong' }).payments.get('0197f3c0-0000-7000-8000-0123456789ab'),
    )
    expect(error).to.include({ code: 'unauthenticated', status: 401, retryable: false })
  })
})

import { defined } from '@cashflow/async'
import { expect } from 'chai'
import {
  answer,
  type Collector,
  eventually,
  type ScriptedServer,
  type ServiceProcess,
  startCollector,
  startScriptedServer,
} from '../src/index.ts'
import { type Pipeline, postTo, startPipeline } from '../src/pipeline.ts'
import { cashflow, clientTrace, namesOf, only, PATIENTLY, tracedPayments } from './traced-payments.ts'

const APPROVED = answer(200, { status: 'approved' })
const CREATED = 'process payments:payment.created:payments'
const RETRIED = 'process payments:payment.retry:payments'
const PUBLISHED = ['outbox', 'send payments:payment.created']
const PUBLISHED_AGAIN = ['outbox', 'send payments:payment.retry']
const OUTCOME = ['send payments:payment.succeeded']

describe('traces of the whole system', () => {
  let collector: Collector
  let provider: ScriptedServer
  let pipeline: Pipeline
  let payments: ReturnType<typeof tracedPayments>
  before(async () => {
    collector = await startCollector()
    provider = await startScriptedServer()
    const settings = {
      ...{ PROVIDER: 'http', PROVIDER_URL: provider.url, PROVIDER_FAILURES_MAX: '1000' },
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, RECONCILE_INTERVAL_MS: '200', LOG_LEVEL: 'debug' },
    }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings)
    payments = tracedPayments(pipeline, collector)
  })
  after(async () => {
    await pipeline.stop()
    await provider.close()
    await collector.close()
  })
  beforeEach(() => {
    provider.seen.length = 0
    provider.script = APPROVED
  })

  // Promise 116
  it('traces: a payment has one trace from the request to the settlement', async () => {
    const { traceId, spanId, traceparent } = clientTrace('00')
    const id = await payments.post(traceparent)
    await payments.settled(id)
    const request = await payments.traced(traceId, [...PUBLISHED, CREATED, ...OUTCOME])
    expect(request).to.include({ service: 'cashflow-api', kind: 'SERVER', parentId: spanId })
    expect(request.attributes).to.include({ 'http.route': '/payments', 'http.response.status_code': 201 })

    const send = only(payments.childrenOf(request), 'send payments:payment.created')
    expect(send).to.include({ service: 'cashflow-relay', kind: 'PRODUCER' })
    const waits = payments.childrenOf(request).filter(({ name }) => name === 'outbox')
    const wait = defined(
      waits.find(({ endMs }) => endMs === send.startMs),
      'the wait that ends where its message is sent',
    )
    expect(wait.startMs).to.be.within(request.startMs - 1_000, send.startMs)

    const processing = only(payments.childrenOf(request), CREATED)
    expect(processing).to.include({ service: 'cashflow-worker', kind: 'CONSUMER', isError: false })
    expect(processing.attributes).to.include({
      'messaging.system': 'rabbitmq',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'payments:payment.created:payments',
      'messaging.message.id': send.attributes['messaging.message.id'],
      'cashflow.payment_id': id,
      'cashflow.result': 'settled',
    })
    const steps = payments.childrenOf(processing)
    expect(namesOf(steps)).to.deep.equal(['POST', 'claim', 'settle'])
    expect(only(steps, 'POST')).to.include({ kind: 'CLIENT', isError: false })
    expect(provider.seen[0]?.headers.traceparent).to.equal(`00-${traceId}-${only(steps, 'POST').spanId}-01`)

    expect(await payments.createdTrace(id)).to.deep.equal({ traceparent: `00-${traceId}-${request.spanId}-01` })
    for (const role of ['api', 'relay', 'worker'] as const) {
      const lines = pipeline.processes[role].flatMap(({ logs }) => logs.filter((line) => line.trace_id === traceId))
      expect(lines, `lines of ${role} with trace_id`).to.not.be.empty
    }
  })

  // Promise 116
  it('traces: a transaction or a publish that payments share has a trace of its own, with a link to each', async () => {
    const traces = Array.from({ length: 30 }, () => clientTrace('01'))
    const ids = await Promise.all(traces.map(({ traceparent }) => payments.post(traceparent)))
    await Promise.all(ids.map((id) => payments.settled(id)))
    const members = {
      insert: 'POST /payments',
      send: 'send payments:payment.created',
      claim: 'claim',
      settle: 'settle',
    }
    for (const [what, name] of Object.entries(members))
      await eventually(() => {
        const own = collector.spans.filter(
          (span) => span.name === name && traces.some((t) => t.traceId === span.traceId),
        )
        const ofOwn = new Set(own.map(({ spanId }) => spanId))
        const shared = collector.spans.filter(({ links }) => links.some((link) => ofOwn.has(link)))
        expect(new Set(namesOf(shared)), what).to.deep.equal(new Set([`${what} payments`]))
        for (const { links, traceId } of shared) {
          expect(links).to.have.length.above(1)
          expect(own.map((span) => span.traceId)).to.not.include(traceId)
        }
      })
  })

  // Promise 116
  it('traces: a payment that is tried again goes on in its trace', async () => {
    const { traceId, traceparent } = clientTrace('01')
    let attempts = 0
    provider.script = (request, response) => {
      attempts += request.method === 'POST' ? 1 : 0
      const status = request.method === 'GET' ? 404 : 200
      return (attempts === 1 && request.method === 'POST' ? answer(500) : answer(status, { status: 'approved' }))(
        request,
        response,
      )
    }
    await payments.settled(await payments.post(traceparent))
    const request = await payments.traced(traceId, [...PUBLISHED, CREATED, ...PUBLISHED_AGAIN, RETRIED, ...OUTCOME])
    const first = payments.childrenOf(only(payments.childrenOf(request), CREATED))
    expect(namesOf(first)).to.deep.equal(['POST', 'claim', 'release'])
    expect(only(first, 'POST')).to.include({ isError: true })
    expect(only(first, 'POST').attributes).to.include({ 'http.response.status_code': 500, 'error.type': '500' })
    const second = payments.childrenOf(only(payments.childrenOf(request), RETRIED))
    expect(namesOf(second)).to.deep.equal(['GET', 'POST', 'claim', 'settle'])
    expect(second.map(({ isError }) => isError)).to.not.include(true)
  })

  // Promise 116
  it('traces: a payment that is redriven by a worker or an operator, or requeued, goes on in the trace of its request', async () => {
    const lost = clientTrace('01')
    const overdue = await payments.postAndLose(lost.traceparent)
    await pipeline.db.query('update payments set redrive_at = now() where id = $1', [overdue])
    await pipeline.start('worker')
    await payments.settled(overdue)
    await payments.traced(lost.traceId, [...PUBLISHED, ...PUBLISHED_AGAIN, RETRIED, ...OUTCOME])

    const byHand = clientTrace('01')
    const redriven = await payments.postAndLose(byHand.traceparent)
    await cashflow(pipeline.databaseUrl, 'redrive', redriven)
    provider.script = answer(500)
    await pipeline.db.query('update payments set attempts = 9 where id = $1', [redriven])
    await pipeline.start('worker')
    const letter = await eventually(async () => {
      const row = await payments.query('select id from dead_letters where key = $1 and resolved_at is null', redriven)
      return String(defined(row, 'dead letter').id)
    }, PATIENTLY)
    await payments.traced(byHand.traceId, [...PUBLISHED, ...PUBLISHED_AGAIN, RETRIED])

    provider.script = (request, response) => (request.method === 'GET' ? answer(404) : APPROVED)(request, response)
    await cashflow(pipeline.databaseUrl, 'dead', 'requeue', letter)
    await payments.settled(redriven)
    const again = [...PUBLISHED_AGAIN, RETRIED]
    await payments.traced(byHand.traceId, [...PUBLISHED, ...again, ...again, ...OUTCOME])
  }).timeout(180_000)

  // Promise 117
  it("traces: a client's sampled flag counts only with TRUST_TRACEPARENT=yes", async () => {
    const apiUrl = async (api: ServiceProcess) => String((await api.logged('listening')).url)
    const off = await pipeline.start('api', { OTEL_TRACES_SAMPLER: 'always_off' })
    const trusting = await pipeline.start('api', { OTEL_TRACES_SAMPLER: 'always_off', TRUST_TRACEPARENT: 'yes' })
    const untrusted = clientTrace('01')
    const id = await payments.post(untrusted.traceparent, await apiUrl(off))
    await payments.settled(id)
    const sent = String(provider.seen[0]?.headers.traceparent)
    expect(sent).to.match(new RegExp(`^00-${untrusted.traceId}-[0-9a-f]{16}-00$`))
    expect(await payments.createdTrace(id)).to.deep.equal({ traceparent: sent })

    const trusted = clientTrace('01')
    await payments.settled(await payments.post(trusted.traceparent, await apiUrl(trusting)))
    await payments.traced(trusted.traceId, [...PUBLISHED, CREATED, ...OUTCOME])
    const declined = clientTrace('00')
    await payments.settled(await payments.post(declined.traceparent, await apiUrl(trusting)))
    // Spans of later payments have arrived.
    const last = clientTrace('01')
    await payments.settled(await payments.post(last.traceparent, await apiUrl(trusting)))
    await payments.traced(last.traceId, [...PUBLISHED, CREATED, ...OUTCOME])
    expect(payments.spansOf(untrusted.traceId)).to.deep.equal([])
    expect(payments.spansOf(declined.traceId)).to.deep.equal([])
  })

  // Promise 117
  it('traces: a collector that is away costs no payment, and one log line', async () => {
    const api = await pipeline.start('api', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
    const url = String((await api.logged('listening')).url)
    const ids = await Promise.all(Array.from({ length: 20 }, () => payments.post(clientTrace('01').traceparent, url)))
    await Promise.all(ids.map(payments.settled))
    await api.logged('spans are lost, traces have gaps', PATIENTLY)
    await payments.settled(await payments.post(clientTrace('01').traceparent, url))
    const startedAt = performance.now()
    expect(await api.stop()).to.equal(0)
    expect(performance.now() - startedAt).to.be.below(5_000)
    expect(api.logs.filter(({ message }) => message.startsWith('spans are lost'))).to.have.length(1)
  })

  // Promise 117
  it("traces: without an endpoint nothing is traced, and a client's traceparent is stored as it is", async () => {
    const api = await pipeline.start('api', { OTEL_EXPORTER_OTLP_ENDPOINT: '' })
    const url = String((await api.logged('listening')).url)
    const { traceId, traceparent } = clientTrace('00')
    const id = await payments.post(traceparent, url)
    await payments.settled(id)
    expect(await payments.createdTrace(id)).to.deep.equal({ traceparent })
    expect(provider.seen[0]?.headers.traceparent).to.equal(traceparent)
    expect(api.logs.filter((line) => line.trace_id === traceId)).to.not.be.empty

    const { id: plain } = await postTo(url, crypto.randomUUID())
    await payments.settled(plain)
    expect(await payments.createdTrace(plain)).to.equal(null)
    expect(provider.seen[1]?.headers).to.not.have.property('traceparent')
  })
})

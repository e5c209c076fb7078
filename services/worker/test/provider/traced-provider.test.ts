import { answer, aPayment, nullLogger, startCollector, startScriptedServer } from '@cashflow/testing'
import { startTracing } from '@cashflow/tracing'
import { expect } from 'chai'
import { createSimulatedProvider } from '../../src/provider/create-provider.ts'
import { createHttpProvider } from '../../src/provider/http-provider.ts'
import { attemptCharge } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'

const { payment } = aPayment()
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const traceparent = `00-${TRACE}-${PARENT}-01`
/** Of a lease that begins now: the tests may run long after this file is loaded. */
const newAttempt = () => ({ attempts: 1, pending: false, deadlineMs: 60_000, leaseEnd: createTimeLimit(60_000) })

async function startTraced() {
  const collector = await startCollector()
  const settings = { url: `${collector.url}/v1/traces`, headers: {} }
  return { collector, ...(await startTracing({ service: 'test', settings, logger: nullLogger })) }
}

describe('traced provider', () => {
  // Promise 116
  it('HTTP provider: sends the traceparent of the attempt on, and none without one', async () => {
    const server = await startScriptedServer()
    server.script = (request, response) =>
      answer(request.method === 'GET' ? 404 : 200, { status: 'approved' })(request, response)
    const provider = createHttpProvider({ url: server.url })
    await attemptCharge(provider, payment, { ...newAttempt(), traceparent })
    expect(server.seen.map(({ headers }) => headers.traceparent)).to.deep.equal([traceparent, traceparent])
    await attemptCharge(provider, payment, newAttempt())
    expect(server.seen[2]?.headers).to.not.have.property('traceparent')
    await server.close()
  })

  // Promise 116
  it('HTTP provider: has a span for each request, which the request names, without the token', async () => {
    const { collector, spans, stop } = await startTraced()
    const server = await startScriptedServer()
    server.script = (request, response) => answer(request.method === 'GET' ? 404 : 503)(request, response)
    const provider = createHttpProvider({ url: server.url, token: 'hunter2' }, spans)
    await attemptCharge(provider, payment, { ...newAttempt(), traceparent })
    await server.close()
    await attemptCharge(provider, payment, { ...newAttempt(), attempts: 0, traceparent })
    await stop()
    expect(collector.spans.map(({ name, isError }) => [name, isError])).to.deep.equal([
      ['GET', false],
      ['POST', true],
      ['POST', true],
    ])
    for (const [index, { spanId, ...span }] of collector.spans.entries()) {
      expect(span).to.include({ kind: 'CLIENT', traceId: TRACE, parentId: PARENT })
      if (index < 2) expect(server.seen[index]?.headers.traceparent).to.equal(`00-${TRACE}-${spanId}-01`)
    }
    const [lookUp, refused, away] = collector.spans.map(({ attributes }) => attributes)
    expect(lookUp).to.include({ 'http.response.status_code': 404, 'url.full': `${server.url}/${payment.id}` })
    expect(refused).to.include({ 'http.response.status_code': 503, 'error.type': '503' })
    expect(away).to.include({ 'server.address': '127.0.0.1' })
    expect(away?.['error.type']).to.match(/^ECONN(REFUSED|RESET)$/)
    expect(JSON.stringify(collector.spans)).to.not.include('hunter2')
    await collector.close()
  })

  it('simulated provider: has a span within the trace of its attempt', async () => {
    const { collector, spans, stop } = await startTraced()
    const provider = createSimulatedProvider({ delayMs: 0, successRate: 1 }, Math.random, spans)
    await attemptCharge(provider, payment, { ...newAttempt(), traceparent })
    await stop()
    expect(collector.spans[0]).to.include({ name: 'charge', kind: 'CLIENT', traceId: TRACE, parentId: PARENT })
    await collector.close()
  })
})

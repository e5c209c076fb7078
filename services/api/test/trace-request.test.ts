import { nullLogger, startCollector } from '@cashflow/testing'
import { startTracing } from '@cashflow/tracing'
import { expect } from 'chai'
import express from 'express'
import supertest from 'supertest'
import { type RequestTracing, traceRequest } from '../src/trace-request.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SAMPLED = `00-${TRACE}-00f067aa0ba902b7-01`
const UNSAMPLED = `00-${TRACE}-00f067aa0ba902b7-00`

describe('trace of a request', () => {
  let collector: Awaited<ReturnType<typeof startCollector>>
  let tracing: Awaited<ReturnType<typeof startTracing>>
  beforeEach(async () => {
    collector = await startCollector()
    const settings = { url: `${collector.url}/v1/traces`, headers: {} }
    tracing = await startTracing({ service: 'test', settings, logger: nullLogger })
  })
  afterEach(async () => {
    await tracing.stop()
    await collector.close()
  })

  /** Sends a request, and returns the place that its payment continues. */
  async function placeOf(given: string | undefined, options: Partial<RequestTracing> = {}, path = '/payments') {
    const app = express().use((req, res) => {
      const { spans } = tracing
      const traced = traceRequest(req, req.path, { spans, isTrusted: false, sampledShare: 1, ...options })
      traced.end(500)
      res.json({ place: traced.traceparent })
    })
    const { body } = await supertest(app)
      .get(path)
      .set(given === undefined ? {} : { traceparent: given })
    return body.place as string | undefined
  }
  async function exported() {
    await tracing.stop()
    return collector.spans
  }

  it("trace of a request: goes on in the client's trace, and its span has route and status", async () => {
    const place = await placeOf(UNSAMPLED, {}, '/api/v1/payments/cf_test_aaaaaaaaaaaa_secret')
    const [span] = await exported()
    expect(place).to.equal(`00-${TRACE}-${span?.spanId}-01`)
    expect(span).to.include({ name: 'GET /payments/:id', kind: 'SERVER', parentId: '00f067aa0ba902b7', isError: true })
    expect(span?.attributes).to.include({ 'http.route': '/payments/:id', 'http.response.status_code': 500 })
    expect(span?.attributes['url.path']).to.equal('/api/v1/payments/cf_***')
  })

  it('trace of a request: begins one without a header, and with one that is not well-formed', async () => {
    for (const given of [undefined, 'what', `${SAMPLED}-00`]) {
      const place = await placeOf(given)
      expect(place).to.match(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect(place).to.not.include(TRACE)
    }
    expect((await exported()).map(({ parentId }) => parentId)).to.deep.equal(['', '', ''])
  })

  it("trace of a request: chance decides whether it is recorded, and not the client's flag", async () => {
    const share = { sampledShare: 0.5 }
    expect(await placeOf(UNSAMPLED, { ...share, random: () => 0.49 })).to.match(/-01$/)
    const refused = await placeOf(SAMPLED, { ...share, random: () => 0.5 })
    expect(refused).to.match(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
    expect(refused, 'a changed flag has a span id of its own').to.not.include('00f067aa0ba902b7')
    expect(await placeOf(undefined, { ...share, random: () => 0.5 })).to.equal(undefined)
    expect(await exported()).to.have.length(1)
  })

  it("trace of a request: a trusted client's flag decides", async () => {
    const trusted = { isTrusted: true, sampledShare: 0 }
    expect(await placeOf(SAMPLED, trusted)).to.match(/-01$/)
    expect(await placeOf(UNSAMPLED, { ...trusted, sampledShare: 1 })).to.equal(UNSAMPLED)
    expect(await exported()).to.have.length(1)
  })

  it('trace of a request: probes and unknown paths are not traced', async () => {
    for (const path of ['/health', '/', '/openapi.json', '/what']) await placeOf(SAMPLED, {}, path)
    expect(await exported()).to.deep.equal([])
  })

  it("trace of a request: without a collector a client's place is passed on as it is", async () => {
    expect(await placeOf(SAMPLED, { spans: undefined })).to.equal(SAMPLED)
    expect(await placeOf(undefined, { spans: undefined })).to.equal(undefined)
  })
})

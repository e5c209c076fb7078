import { text } from 'node:stream/consumers'
import { eventually, openSocket, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith, expectProblem, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const GET = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
const LAST = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

describe('GET /health', () => {
  let api: ApiUnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.stop())

  it('answers 200 with the status ok', async () => {
    const response = await api.agent.get('/health')
    expect(response.status).to.equal(200)
    expect(response.text).to.equal('{"status":"ok"}')
    expect(response.headers).to.include({ 'cache-control': 'no-store' }).and.to.have.property('request-id')
  })

  it('answers a HEAD request with 200', async () => {
    expect((await api.agent.head('/health')).status).to.equal(200)
  })

  /** Sends `count` pipelined requests on a new connection. Resolves with the number that is answered with 200. */
  async function pipeline(count: number): Promise<number> {
    const socket = openSocket(api.http.url)
    socket.write(GET.repeat(count - 1) + LAST)
    return (await text(socket)).split('HTTP/1.1 200 ').length - 1
  }

  // Promise 44
  it('delays no payment under a flood of requests, which share one query at a time', async () => {
    const flood = Array.from({ length: 150 }, () => pipeline(30))
    const payments = await Promise.all(Array.from({ length: 55 }, () => post(api, bodyWith())))
    expect(payments.map(({ status }) => status)).to.deep.equal(payments.map(() => 201))
    expect(await Promise.all(flood)).to.deep.equal(flood.map(() => 30))
    expect(api.healthQueries).to.include({ running: 0, runningMax: 1 })
    expect(api.healthQueries.total).to.be.below(1_500) // For 4,500 requests.
    expect(api.logs.filter(({ level }) => level !== 'info')).to.deep.equal([])
  })

  // Promise 44
  it('answers every request with 503 within 2 s while PostgreSQL is silent, and sends one query', async () => {
    expect((await api.agent.get('/health')).status).to.equal(200)
    api.proxy.freeze()
    const startedAt = performance.now()
    const stopwatch = startStopwatch()
    for (let i = 0; i < 2; i++) {
      const responses = await Promise.all(Array.from({ length: 20 }, () => api.agent.get('/health')))
      for (const response of responses) expectProblem(response, 503, 'unavailable')
    }
    // 2 s for each round: the second one does not wait for the query of the first.
    expect(performance.now() - startedAt).to.be.at.least(3_900)
    expect(stopwatch.stop()).to.be.at.most(8_000)
    expect(api.healthQueries).to.include({ total: 2, running: 1 })
    api.proxy.restore()
    await eventually(async () => expect((await api.agent.get('/health')).status).to.equal(200))
  })

  it('sends a new query for the next request after an answer and after a failure', async () => {
    for (const status of [200, 200]) expect((await api.agent.get('/health')).status).to.equal(status)
    expect(api.healthQueries.total).to.equal(2)
    api.proxy.cut()
    expectProblem(await api.agent.get('/health'), 503, 'unavailable')
    api.proxy.restore()
    expect((await api.agent.get('/health')).status).to.equal(200)
    expect(api.healthQueries.total).to.equal(4)
  })
})

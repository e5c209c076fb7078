import { eventually, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith, expectProblem, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const ID = '019a0000-0000-7000-8000-000000000000'

describe('api without PostgreSQL', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  function expectUnavailable(response: Parameters<typeof expectProblem>[0]): void {
    expectProblem(response, 503, 'unavailable')
    expect(response.headers['retry-after']).to.match(/^[1-9][0-9]*$/)
  }

  async function expectRecovery(): Promise<void> {
    await eventually(async () => {
      expect((await api.agent.get('/health')).body).to.deep.equal({ status: 'ok' })
      expect((await post(api, bodyWith())).status).to.equal(201)
    })
  }

  // Promise 25
  it('answers 503 in bounded time while the network drops every packet, and recovers', async () => {
    expect((await post(api, bodyWith())).status).to.equal(201)
    api.proxy.freeze()
    const stopwatch = startStopwatch()
    const responses = await Promise.all([
      post(api, bodyWith()),
      api.agent.get(`/payments/${ID}`),
      api.agent.get('/health'),
    ])
    expect(stopwatch.stop()).to.be.lessThan(8_000)
    for (const response of responses) expectUnavailable(response)
    api.proxy.restore()
    await expectRecovery()
  })
})

import { expect } from 'chai'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('GET /health', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  it('answers 200 {"status":"ok"}', async () => {
    const response = await api.agent.get('/health')
    expect(response.status).to.equal(200)
    expect(response.text).to.equal('{"status":"ok"}')
    expect(response.headers).to.include({ 'cache-control': 'no-store' }).and.to.have.property('request-id')
  })

  it('answers HEAD', async () => {
    expect((await api.agent.head('/health')).status).to.equal(200)
  })
})

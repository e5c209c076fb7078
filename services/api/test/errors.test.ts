import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const ID = '019a0000-0000-7000-8000-000000000000'

describe('api', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const path of [
    '//',
    '/nowhere',
    '/payment',
    '/Payments',
    `/payments/${ID}/x`,
    '/events/x',
    '/api/v1',
    '/api/v2/payments',
    '/health/x',
  ]) {
    it(`answers 404 to the unknown path ${path}`, async () => {
      expectProblem(await api.agent.get(path), 404, 'not-found')
      expectProblem(await api.agent.delete(path), 404, 'not-found')
    })
  }

  const ROUTES: [path: string, allow: string, others: ('get' | 'post' | 'put' | 'patch' | 'delete' | 'head')[]][] = [
    ['/payments', 'GET, HEAD, POST, OPTIONS', ['put', 'patch', 'delete']],
    ['/api/v1/payments', 'GET, HEAD, POST, OPTIONS', ['put', 'patch', 'delete']],
    [`/payments/${ID}`, 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    [`/payments/${ID}/events`, 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/events', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/api/v1/events', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/webhook-endpoints', 'GET, HEAD, POST, OPTIONS', ['put', 'patch', 'delete']],
    ['/webhook-endpoints/x', 'GET, HEAD, PATCH, DELETE, OPTIONS', ['post', 'put']],
    ['/webhook-endpoints/x/rotate-secret', 'POST, OPTIONS', ['get', 'put', 'patch', 'delete']],
    ['/webhook-endpoints/x/replay', 'POST, OPTIONS', ['get', 'put', 'patch', 'delete']],
    ['/webhook-endpoints/x/check', 'POST, OPTIONS', ['get', 'put', 'patch', 'delete']],
    ['/webhook-endpoints/x/ping', 'POST, OPTIONS', ['get', 'put', 'patch', 'delete']],
    ['/webhook-endpoints/x/checks/x', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/webhook-deliveries', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/events/x/deliveries', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/events/x/redeliver', 'POST, OPTIONS', ['get', 'put', 'patch', 'delete']],
    ['/', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
    ['/health', 'GET, HEAD, OPTIONS', ['post', 'put', 'patch', 'delete']],
  ]
  for (const [path, allow, others] of ROUTES) {
    it(`allows ${allow} on ${path}, and answers 405 to other methods`, async () => {
      for (const method of others) {
        const response = await api.agent[method](path)
        expectProblem(response, 405, 'method-not-allowed')
        expect(response.headers.allow).to.equal(allow)
      }
      const options = await api.agent.options(path)
      expect(options.status).to.equal(204)
      expect(options.headers.allow).to.equal(allow)
      expect(options.headers).to.have.property('request-id')
    })
  }

  for (const path of ['/payments/%', '/payments/%zz', '/api/v1/payments/%e0%a4']) {
    it(`answers 400 to the broken path ${path}`, async () => {
      expectProblem(await api.agent.get(path), 400, 'bad-request')
    })
  }

  it('answers 500 to an unexpected error, logs the error, and does not show it to the client', async () => {
    await sql`alter table outbox_messages rename to elsewhere`.execute(api.db)
    const response = await api.agent.post('/payments').set('Request-Id', 'unlucky').send(JSON.parse(bodyWith()))
    await sql`alter table elsewhere rename to outbox_messages`.execute(api.db)
    expectProblem(response, 500, 'internal')
    expect(response.text).not.to.contain('outbox_messages')
    expect(api.logs.find(({ level }) => level === 'error')).to.include({
      message: 'request failed',
      request_id: 'unlucky',
    })
    const payments = await api.db.selectFrom('payments').select('id').execute()
    expect(payments).to.deep.equal([])
  })

  describe('api: Request-Id of an answer', () => {
    for (const given of ['x', 'order-7_a.B', 'a'.repeat(128)]) {
      it(`answers with the client’s Request-Id ${given.slice(0, 20)}`, async () => {
        const response = await api.agent.get('/nowhere').set('Request-Id', given)
        expect(response.headers['request-id']).to.equal(given)
        expect(response.body.request_id).to.equal(given)
      })
    }
    for (const given of ['', 'a b', 'a,b', 'a"b', 'é', '{}', 'a'.repeat(129)]) {
      it(`answers with a new Request-Id instead of the malformed ${JSON.stringify(given).slice(0, 20)}`, async () => {
        const response = await api.agent.get('/health').set('Request-Id', given)
        expect(response.headers['request-id']).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}$/)
      })
    }
  })

  it('logs one line for each request, without the query of its URL', async () => {
    const { body } = await post(api, bodyWith())
    api.logs.length = 0
    await api.agent.get(`/payments/${body.id}?token=secret`).set('Request-Id', 'logged')
    await api.agent.post('/payments').send('x')
    expect(api.logs).to.have.length(2)
    expect(api.logs[0]).to.include({
      level: 'info',
      message: 'request answered',
      method: 'GET',
      path: `/payments/${body.id}`,
      status: 200,
      request_id: 'logged',
      payment_id: body.id,
    })
    expect(api.logs[0]?.duration_ms).to.be.a('number')
    expect(api.logs[1]).to.include({ level: 'info', method: 'POST', status: 415 })
  })
})

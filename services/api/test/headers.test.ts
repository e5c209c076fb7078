import { expect } from 'chai'
import type { Response } from 'supertest'
import { bodyWith, expectSharedHeaders, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const ORIGIN = { Origin: 'https://shop.example', 'Access-Control-Request-Method': 'POST' }

// Each answer with a problem is in problems.test.ts.
const ANSWERS: [name: string, status: number, ask: (api: ApiUnderTest) => PromiseLike<Response>][] = [
  ['GET /', 200, ({ agent }) => agent.get('/').set(ORIGIN)],
  ['HEAD /', 200, ({ agent }) => agent.head('/')],
  ['GET / for a browser', 200, ({ agent }) => agent.get('/').set('Accept', 'text/html')],
  ['GET /health', 200, ({ agent }) => agent.get('/health').set(ORIGIN)],
  ['POST /payments', 201, (api) => post(api, bodyWith())],
  ['POST from a page of another origin', 201, ({ agent }) => agent.post('/payments').set(ORIGIN).send(payment())],
  ['a preflight request', 204, ({ agent }) => agent.options('/payments').set(ORIGIN)],
]

const payment = () => JSON.parse(bodyWith())

describe('api: headers', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const [name, status, ask] of ANSWERS) {
    it(`answers ${name} with the headers of helmet and Vary, not cacheable, and without CORS`, async () => {
      const response = await ask(api)
      expect(response.status, response.text).to.equal(status)
      expectSharedHeaders(response.headers)
    })
  }

  for (const method of ['get', 'head'] as const) {
    it(`answers ${method.toUpperCase()} of a payment so that only its client may keep it, and asks again`, async () => {
      const { headers: created } = await post(api, bodyWith())
      const response = await api.agent[method](created.location ?? '')
      expect(response.status).to.equal(200)
      expectSharedHeaders(response.headers, 'private, no-cache')
    })
  }
})

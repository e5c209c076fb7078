import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import type { Response } from 'supertest'
import { AUTH, createKey } from './auth/merchant-keys.ts'
import { bodyWith } from './requests.ts'
import { routesOf } from './routes-of.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

/** A payment of another merchant, of 100.50. */
interface Foreign {
  id: string
  reference: string
}

type Send = (method: 'get' | 'post', path: string, body?: string) => Promise<Response>

const withoutRequestId = ({ text, body }: Response) => text.replace(body.request_id, '')

/** 404, as for an id that no payment has. */
async function expectUnknown(
  send: Send,
  pathOf: (id: string) => string,
  [{ id }]: [Foreign, Foreign],
  method: 'get' | 'post' = 'get',
) {
  const answer = await send(method, pathOf(id))
  expect(answer.status).to.equal(404)
  expect(withoutRequestId(answer)).to.equal(withoutRequestId(await send(method, pathOf(uuidv7()))))
}

/** 201: the references of another merchant are free, for the same amount and for another one. */
async function expectFree(send: Send, path: string, [same, other]: [Foreign, Foreign]) {
  for (const [{ id, reference }, amount] of [
    [same, '100.50'],
    [other, '7'],
  ] as const) {
    const answer = await send('post', path, bodyWith({ reference, amount }))
    expect(answer.status, answer.text).to.equal(201)
    expect(answer.text).not.to.include(id)
  }
}

/** 200 with an empty list, as if the references and the payments did not exist. */
async function expectUnlisted(send: Send, path: string, [{ reference }]: [Foreign, Foreign]) {
  for (const query of ['', '?status=PENDING', '?currency=USD', `?reference=${reference}`, '?limit=100']) {
    const answer = await send('get', path + query)
    expect(answer.status, answer.text).to.equal(200)
    expect(answer.body).to.deep.equal({ data: [], has_more: false, next_cursor: null })
  }
}

async function expectNoPayment(send: Send, path: string, [{ id, reference }]: [Foreign, Foreign]) {
  const { status, text = '' } = await send('get', path)
  expect(status).to.equal(200)
  expect(text).not.to.include(id).and.not.to.include(reference)
}

async function expectNoEvent(send: Send, path: string, foreign: [Foreign, Foreign]) {
  const { status, body, text } = await send('get', path)
  expect(status).to.equal(200)
  expect(body.data).to.deep.equal([])
  for (const { id, reference } of foreign) expect(text).not.to.include(id).and.not.to.include(reference)
}

async function expectHealth(send: Send) {
  expect((await send('get', '/health')).body).to.deep.equal({ status: 'ok' })
}

// The same for everyone.
const PUBLIC = ['/openapi.json', '/docs', '/docs/start.js', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js']

// A new route fails the test until it is here.
const ROUTES: Record<string, (send: Send, foreign: [Foreign, Foreign]) => Promise<void>> = {
  'GET ^\\/$': (send, foreign) => expectNoPayment(send, '/', foreign),
  ...Object.fromEntries(
    PUBLIC.map((path) => [
      `GET ${path}`,
      (send: Send, foreign: [Foreign, Foreign]) => expectNoPayment(send, path, foreign),
    ]),
  ),
  'GET /health': expectHealth,
  'POST /payments': (send, foreign) => expectFree(send, '/payments', foreign),
  'POST /api/v1/payments': (send, foreign) => expectFree(send, '/api/v1/payments', foreign),
  'GET /payments': (send, foreign) => expectUnlisted(send, '/payments', foreign),
  'GET /api/v1/payments': (send, foreign) => expectUnlisted(send, '/api/v1/payments', foreign),
  'GET /payments/:id': (send, foreign) => expectUnknown(send, (id) => `/payments/${id}`, foreign),
  'GET /api/v1/payments/:id': (send, foreign) => expectUnknown(send, (id) => `/api/v1/payments/${id}`, foreign),
  'GET /payments/:id/events': (send, foreign) => expectUnknown(send, (id) => `/payments/${id}/events`, foreign),
  'GET /api/v1/payments/:id/events': (send, foreign) =>
    expectUnknown(send, (id) => `/api/v1/payments/${id}/events`, foreign),
  'GET /events': (send, foreign) => expectNoEvent(send, '/events', foreign),
  'GET /api/v1/events': (send, foreign) => expectNoEvent(send, '/api/v1/events', foreign),
  'POST /payments/:id/cancel': (send, foreign) =>
    expectUnknown(send, (id) => `/payments/${id}/cancel`, foreign, 'post'),
  'POST /api/v1/payments/:id/cancel': (send, foreign) =>
    expectUnknown(send, (id) => `/api/v1/payments/${id}/cancel`, foreign, 'post'),
  'POST /test/payments/:id/advance': (send, foreign) =>
    expectUnknown(send, (id) => `/test/payments/${id}/advance`, foreign, 'post'),
  'POST /api/v1/test/payments/:id/advance': (send, foreign) =>
    expectUnknown(send, (id) => `/api/v1/test/payments/${id}/advance`, foreign, 'post'),
}

describe('isolation of merchants', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  const sendWith =
    (key: string): Send =>
    async (method, path, body) => {
      const request = api.agent[method](path).set('Authorization', `Bearer ${key}`)
      return await (body === undefined ? request : request.set('Content-Type', 'application/json').send(body))
    }

  async function createForeign(): Promise<Foreign> {
    const { text } = await createKey(api)
    const reference = `REF-${uuidv7()}`
    const { status, body } = await sendWith(text)('post', '/payments', bodyWith({ reference }))
    expect(status).to.equal(201)
    return { id: body.id, reference }
  }

  it('isolation of merchants is tested for every route of the application', () => {
    expect(routesOf(api.app).toSorted()).to.deep.equal(Object.keys(ROUTES).toSorted())
  })

  // Promise 66
  for (const [route, expectNoHint] of Object.entries(ROUTES)) {
    it(`isolation of merchants: ${route} shows nothing of another merchant`, async () => {
      const { text } = await createKey(api)
      await expectNoHint(sendWith(text), [await createForeign(), await createForeign()])
    })
  }
})

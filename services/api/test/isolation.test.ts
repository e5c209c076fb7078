import { eventually } from '@cashflow/async'
import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import { sql } from 'kysely'
import { AUTH, createKey } from './auth/merchant-keys.ts'
import { startApiOnOwnServer } from './events/start-own-server.ts'
import { expectNoCursor, type Foreign, type Method, type Send, withoutRequestId } from './isolation.ts'
import { bodyWith } from './requests.ts'
import { routesOf } from './routes-of.ts'
import type { ApiUnderTest } from './start-api.ts'
import { ENDPOINT, WEBHOOK_ROUTES } from './webhooks/isolated-routes.ts'
import { storeDelivery } from './webhooks/store-delivery.ts'

/** 404, as for an id that no payment has, also if the request would wait for the payment. */
async function expectUnknown(
  send: Send,
  pathOf: (id: string) => string,
  [{ id }]: [Foreign, Foreign],
  method: Method = 'get',
) {
  for (const sent of [{}, { prefer: 'wait=1' }]) {
    const answer = await send(method, pathOf(id), sent)
    expect(answer.status).to.equal(404)
    expect(withoutRequestId(answer)).to.equal(withoutRequestId(await send(method, pathOf(uuidv7()), sent)))
  }
}

/** 201 with a new payment: the references and the idempotency keys of another merchant are free, for any payment. */
async function expectFree(send: Send, path: string, [same, other]: [Foreign, Foreign]) {
  const requests = [
    { body: bodyWith({ reference: same.reference }), idempotencyKey: same.idempotencyKey },
    { body: bodyWith({ reference: other.reference, amount: '7' }) },
    { body: bodyWith({ amount: '7' }), idempotencyKey: other.idempotencyKey },
  ]
  const ids = new Set([same.id, other.id])
  for (const request of requests) {
    const answer = await send('post', path, request)
    expect(answer.status, answer.text).to.equal(201)
    expect(answer.headers).to.not.have.property('idempotent-replayed')
    expect(ids).to.not.include(answer.body.id)
    ids.add(answer.body.id)
  }
}

/** 200 with an empty list, as if the references, the keys and the payments did not exist. */
async function expectUnlisted(send: Send, path: string, [foreign]: [Foreign, Foreign]) {
  const { reference, idempotencyKey } = foreign
  const names = [`reference=${reference}`, `idempotency_key=${idempotencyKey}`]
  for (const filter of [...names, names.join('&'), 'limit=100', ...LIST_FILTERS]) {
    const answer = await send('get', `${path}?${filter}`)
    expect(answer.status, answer.text).to.equal(200)
    expect(answer.body).to.deep.equal({ data: [], has_more: false, next_cursor: null })
  }
  for (const filter of LIST_FILTERS) await expectNoCursor(send, `${path}?limit=1&${filter}&cursor=`, foreign)
}

const LIST_FILTERS = ['', 'status=PENDING', 'currency=USD', 'created_from=2026-01-01T00:00:00Z&status=PENDING']

async function expectNoPayment(send: Send, path: string, [{ id, reference }]: [Foreign, Foreign]) {
  const { status, text = '' } = await send('get', path)
  expect(status).to.equal(200)
  expect(text).not.to.include(id).and.not.to.include(reference)
}

/** 200 with no event, while the other merchants see theirs. */
async function expectNoEvent(send: Send, path: string, foreign: [Foreign, Foreign]) {
  const [{ send: sendForeign }] = foreign
  await eventually(async () => expect((await sendForeign('get', path)).body.data).to.have.length(2))
  for (const filter of ['', 'type=payment.created']) {
    const { status, body, text } = await send('get', `${path}?${filter}`)
    expect(status).to.equal(200)
    expect(body.data).to.deep.equal([])
    for (const { id, reference } of foreign) expect(text).not.to.include(id).and.not.to.include(reference)
    await expectNoCursor(send, `${path}?limit=1&${filter}&after=`, foreign[0])
  }
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
  ...Object.fromEntries(
    Object.entries(WEBHOOK_ROUTES).flatMap(([route, expectNoHint]) =>
      ['', '/api/v1'].map((version) => {
        const [method, path] = route.split(' ')
        return [
          `${method} ${version}${path}`,
          (send: Send, foreign: [Foreign, Foreign]) => expectNoHint(send, foreign, `${version}${path}`),
        ]
      }),
    ),
  ),
  'POST /test/payments/:id/advance': (send, foreign) =>
    expectUnknown(send, (id) => `/test/payments/${id}/advance`, foreign, 'post'),
  'POST /api/v1/test/payments/:id/advance': (send, foreign) =>
    expectUnknown(send, (id) => `/api/v1/test/payments/${id}/advance`, foreign, 'post'),
}

describe('isolation of merchants', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApiOnOwnServer({ auth: AUTH })
  })
  after(() => api?.stop())

  const sendWith =
    (key: string): Send =>
    async (method, path, { body, idempotencyKey, prefer } = {}) => {
      const request = api.agent[method](path).set('Authorization', `Bearer ${key}`)
      if (idempotencyKey !== undefined) request.set('Idempotency-Key', idempotencyKey)
      if (prefer !== undefined) request.set('Prefer', prefer)
      return await (body === undefined ? request : request.set('Content-Type', 'application/json').send(body))
    }

  async function createForeign(): Promise<Foreign> {
    const send = sendWith((await createKey(api)).text)
    const [reference, idempotencyKey] = [`REF-${uuidv7()}`, `KEY-${uuidv7()}`]
    const { status, body } = await send('post', '/payments', { body: bodyWith({ reference }), idempotencyKey })
    expect(status).to.equal(201)
    // Such a payment can be canceled, and an advance would change it.
    await sql`update payments set lease_until = now() + interval '1 hour' where id = ${body.id}`.execute(api.db)
    await send('post', '/payments', { body: bodyWith() })
    const endpointId = (await send('post', '/webhook-endpoints', { body: ENDPOINT })).body.id
    const checkId = (await send('post', `/webhook-endpoints/${endpointId}/check`)).body.id
    await send('post', '/webhook-endpoints', { body: ENDPOINT })
    await storeDelivery(api, endpointId, body.id)
    await storeDelivery(api, endpointId, uuidv7())
    return { id: body.id, reference, idempotencyKey, endpointId, checkId, send }
  }

  const ofEndpoint = (
    table: 'webhook_deliveries' | 'webhook_queues' | 'webhook_replays' | 'webhook_checks',
    id: string,
  ) => api.db.selectFrom(table).selectAll().where('endpoint_id', '=', id)

  /** All that is stored of a payment and of an endpoint. */
  const stored = async ({ id, endpointId }: Foreign) => ({
    endpoint: await api.db.selectFrom('webhook_endpoints').selectAll().where('id', '=', endpointId).execute(),
    deliveries: await ofEndpoint('webhook_deliveries', endpointId).execute(),
    queue: await ofEndpoint('webhook_queues', endpointId).execute(),
    replays: await ofEndpoint('webhook_replays', endpointId).execute(),
    checks: await ofEndpoint('webhook_checks', endpointId).execute(),
    payment: await api.db.selectFrom('payments').selectAll().where('id', '=', id).execute(),
    events: await api.db.selectFrom('payment_events').selectAll().where('payment_id', '=', id).execute(),
    messages: await api.db.selectFrom('outbox_messages').selectAll().where('key', '=', id).execute(),
  })

  it('isolation of merchants is tested for every route of the application', () => {
    expect(routesOf(api.app).toSorted()).to.deep.equal(Object.keys(ROUTES).toSorted())
  })

  // Promise 66
  for (const [route, expectNoHint] of Object.entries(ROUTES)) {
    it(`isolation of merchants: ${route} shows and changes nothing of another merchant`, async () => {
      const { text } = await createKey(api)
      const foreign: [Foreign, Foreign] = [await createForeign(), await createForeign()]
      const before = await Promise.all(foreign.map(stored))
      await expectNoHint(sendWith(text), foreign)
      expect(await Promise.all(foreign.map(stored))).to.deep.equal(before)
    })
  }
})

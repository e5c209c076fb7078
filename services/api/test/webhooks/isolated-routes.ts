import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import { expectNoCursor, type Foreign, type Method, type Send, withoutRequestId } from '../isolation.ts'

/** 404, as for an endpoint that no merchant has. */
async function expectNoEndpoint(send: Send, path: string, foreign: readonly Foreign[], method: Method, body?: string) {
  for (const { endpointId } of foreign) {
    const sent = body === undefined ? {} : { body }
    const answer = await send(method, path.replace(':id', endpointId), sent)
    expect(answer.status, answer.text).to.equal(404)
    expect(withoutRequestId(answer)).to.equal(withoutRequestId(await send(method, path.replace(':id', uuidv7()), sent)))
  }
}

/** 404, as for an event that no merchant has, also with the endpoint of its merchant. */
async function expectNoEventOf(send: Send, path: string, foreign: readonly Foreign[], method: Method) {
  for (const { id, endpointId } of foreign)
    for (const body of method === 'post' ? ['{}', JSON.stringify({ endpoint_id: endpointId })] : [undefined]) {
      const of = (paymentId: string) =>
        send(method, path.replace(':id', `evt_${paymentId}_1`), body === undefined ? {} : { body })
      const answer = await of(id)
      expect(answer.status, answer.text).to.equal(404)
      expect(withoutRequestId(answer)).to.equal(withoutRequestId(await of(uuidv7())))
    }
}

/** 200 with an empty list, with each filter, and 400 to a cursor of the other merchant. */
async function expectNoneListed(send: Send, path: string, [foreign]: [Foreign, Foreign], filters: readonly string[]) {
  for (const filter of ['', ...filters]) {
    const { status, body } = await send('get', `${path}?${filter}`)
    expect([status, body]).to.deep.equal([200, { data: [], has_more: false, next_cursor: null }])
  }
  await expectNoCursor(send, `${path}?limit=1&cursor=`, foreign)
}

/** 201 with a new endpoint: those of other merchants do not count. */
async function expectOwnEndpoints(send: Send, path: string) {
  for (let count = 1; count <= 16; count++) expect((await send('post', path, { body: ENDPOINT })).status).to.equal(201)
}

export const ENDPOINT = '{"url": "https://hooks.example.com/"}'
const REPLAY = '{"after": "2026-01-01T00:00:00Z"}'

type Expect = (send: Send, foreign: [Foreign, Foreign], path: string) => Promise<void>

/** What is expected of the routes of webhooks, with and without their version. */
export const WEBHOOK_ROUTES: Readonly<Record<string, Expect>> = {
  'GET /webhook-endpoints': (send, foreign, path) => expectNoneListed(send, path, foreign, []),
  'POST /webhook-endpoints': (send, _foreign, path) => expectOwnEndpoints(send, path),
  'GET /webhook-endpoints/:id': (send, foreign, path) => expectNoEndpoint(send, path, foreign, 'get'),
  'PATCH /webhook-endpoints/:id': (send, foreign, path) =>
    expectNoEndpoint(send, path, foreign, 'patch', '{"enabled": false}'),
  'DELETE /webhook-endpoints/:id': (send, foreign, path) => expectNoEndpoint(send, path, foreign, 'delete'),
  'POST /webhook-endpoints/:id/rotate-secret': (send, foreign, path) =>
    expectNoEndpoint(send, path, foreign, 'post', '{}'),
  'POST /webhook-endpoints/:id/replay': async (send, foreign, path) => {
    await expectNoEndpoint(send, path, foreign, 'post', REPLAY)
    await expectNoReplayAfter(send, foreign)
  },
  'POST /webhook-endpoints/:id/check': (send, foreign, path) => expectNoEndpoint(send, path, foreign, 'post'),
  'POST /webhook-endpoints/:id/ping': (send, foreign, path) => expectNoEndpoint(send, path, foreign, 'post'),
  'GET /webhook-endpoints/:id/checks/:check': (send, foreign, path) => expectNoCheck(send, path, foreign),
  'GET /webhook-deliveries': (send, foreign, path) =>
    expectNoneListed(send, path, foreign, [
      `endpoint=${foreign[0].endpointId}`,
      `event=evt_${foreign[0].id}_1`,
      'status=succeeded',
    ]),
  'GET /events/:id/deliveries': (send, foreign, path) => expectNoEventOf(send, path, foreign, 'get'),
  'POST /events/:id/redeliver': (send, foreign, path) => expectNoEventOf(send, path, foreign, 'post'),
}

/** 404, as for a check that no merchant has, also with an endpoint of its own. */
async function expectNoCheck(send: Send, path: string, foreign: readonly Foreign[]) {
  const own = (await send('post', '/webhook-endpoints', { body: ENDPOINT })).body.id
  for (const { endpointId, checkId } of foreign)
    for (const id of [endpointId, own]) {
      const of = (check: string) => send('get', path.replace(':id', id).replace(':check', check))
      const answer = await of(checkId)
      expect(answer.status, answer.text).to.equal(404)
      expect(withoutRequestId(answer)).to.equal(withoutRequestId(await of(uuidv7())))
    }
}

/** 404, as for an event that no merchant has: a replay begins after an own event only. */
async function expectNoReplayAfter(send: Send, [{ id }]: [Foreign, Foreign]) {
  const { body } = await send('post', '/webhook-endpoints', { body: ENDPOINT })
  const after = (paymentId: string) =>
    send('post', `/webhook-endpoints/${body.id}/replay`, { body: JSON.stringify({ after: `evt_${paymentId}_1` }) })
  const answer = await after(id)
  expect(answer.status).to.equal(404)
  expect(withoutRequestId(answer)).to.equal(withoutRequestId(await after(uuidv7())))
}

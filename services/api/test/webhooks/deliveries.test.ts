import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import { bodyWith, expectProblem, pointers, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { storeDelivery } from './store-delivery.ts'
import { createEndpoint, send } from './webhook-requests.ts'

const UNKNOWN_ID = '019a0000-0000-7000-8000-000000000000'

describe('webhook deliveries', () => {
  let api: ApiUnderTest
  let endpointId: string
  before(async () => {
    api = await startApi()
  })
  beforeEach(async () => {
    endpointId = (await createEndpoint(api)).body.id
  })
  afterEach(async () => {
    const { body } = await send(api, 'get', '/webhook-endpoints')
    for (const { id } of body.data) await send(api, 'delete', `/webhook-endpoints/${id}`)
  })
  after(() => api.stop())

  const newPayment = async (): Promise<string> => (await post(api, bodyWith())).body.id
  const idsOf = ({ body }: { body: { data: { id: string }[] } }) => body.data.map(({ id }) => id)
  const row = (id: string) =>
    api.db.selectFrom('webhook_deliveries').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

  it('GET /webhook-deliveries: shows the listed members of a delivery', async () => {
    const paymentId = await newPayment()
    const { id, eventId } = await storeDelivery(api, endpointId, paymentId, 'pending')
    const { body } = await send(api, 'get', '/webhook-deliveries')
    const { created_at, last_attempt_at, next_attempt_at, ...rest } = body.data[0]
    for (const time of [created_at, last_attempt_at, next_attempt_at])
      expect(Date.parse(time)).to.be.closeTo(Date.now(), 60_000)
    expect(rest).to.deep.equal({
      id,
      endpoint_id: endpointId,
      event_id: eventId,
      event_type: 'payment.created',
      payment_id: paymentId,
      sequence: 1,
      status: 'pending',
      failed_attempts: 1,
      replay: false,
      last_status: 500,
      last_error: 'HTTP status 500',
      finished_at: null,
    })
  })

  it('GET /webhook-deliveries: pages through the deliveries of all endpoints, newest first, with each filter', async () => {
    const other = (await createEndpoint(api)).body.id
    const stored = []
    for (const [endpoint, status] of [
      [endpointId, 'succeeded'],
      [other, 'expired'],
      [endpointId, 'waiting'],
      [other, 'succeeded'],
    ] as const)
      stored.unshift(await storeDelivery(api, endpoint, await newPayment(), status))
    const ids = stored.map(({ id }) => id)
    const paged: string[] = []
    for (let cursor = ''; ; ) {
      const page = await send(api, 'get', `/webhook-deliveries?limit=3${cursor}`)
      paged.push(...idsOf(page))
      if (!page.body.has_more) break
      cursor = `&cursor=${page.body.next_cursor}`
    }
    expect(paged).to.deep.equal(ids)
    for (const [query, expected] of [
      [`endpoint=${endpointId}`, [ids[1], ids[3]]],
      [`endpoint=${endpointId.toUpperCase()}&status=waiting`, [ids[1]]],
      ['status=succeeded', [ids[0], ids[3]]],
      ['status=expired', [ids[2]]],
      ['status=pending', []],
      [`event=${stored[2]?.eventId}`, [ids[2]]],
      [`event=${stored[2]?.eventId}&endpoint=${endpointId}`, []],
      [`endpoint=${UNKNOWN_ID}`, []],
    ] as const)
      expect(idsOf(await send(api, 'get', `/webhook-deliveries?${query}`)), query).to.deep.equal(expected)
  })

  for (const query of ['endpoint=x', 'status=failed', 'event=x', 'limit=0', 'x=1'])
    it(`GET /webhook-deliveries: answers 400 to ?${query}, and names the parameter`, async () => {
      const answer = await send(api, 'get', `/webhook-deliveries?${query}`)
      expectProblem(answer, 400, 'validation-error')
      expect(answer.body.errors[0].parameter).to.equal(query.split('=')[0])
    })

  // Promise 127
  it('GET /webhook-deliveries: refuses a cursor of other filters and of another list', async () => {
    for (let count = 0; count < 2; count++) await storeDelivery(api, endpointId, await newPayment())
    const { body } = await send(api, 'get', '/webhook-deliveries?limit=1')
    for (const path of ['/webhook-deliveries?status=succeeded&', '/webhook-endpoints?', '/payments?'])
      expectProblem(await send(api, 'get', `${path}cursor=${body.next_cursor}`), 400, 'invalid-cursor')
  })

  it('GET /events/:id/deliveries: shows each delivery of the event with its attempts, the oldest first', async () => {
    const paymentId = await newPayment()
    const { id, eventId } = await storeDelivery(api, endpointId, paymentId)
    const made = { endpoint_id: endpointId, delivery_id: id, at: new Date(), duration_ms: 20_000 }
    const error = 'timeout: no answer within 20 s'
    await api.db
      .insertInto('webhook_attempts')
      .values({ ...made, status: null, error, answer: null })
      .execute()
    const answer = await send(api, 'get', `/events/${eventId}/deliveries`)
    expect(answer.body).to.include({ has_more: false, next_cursor: null })
    expect(idsOf(answer)).to.deep.equal([id])
    const [first, second] = answer.body.data[0].attempts_made
    expect(first).to.include({ duration_ms: 12, status: 500, error: 'HTTP status 500', answer: 'out of order' })
    expect(second).to.include({ duration_ms: 20_000, status: null, error, answer: null })
  })

  it('GET /events/:id/deliveries: is empty for an event without deliveries, and 404 for no event', async () => {
    const paymentId = await newPayment()
    expect((await send(api, 'get', `/events/evt_${paymentId}_1/deliveries`)).body.data).to.deep.equal([])
    for (const id of [`evt_${paymentId}_2`, `evt_${UNKNOWN_ID}_1`, paymentId, 'x'])
      expectProblem(await send(api, 'get', `/events/${id}/deliveries`), 404, 'not-found')
  })

  it('POST /events/:id/redeliver: makes finished deliveries pending again, with a new schedule and the old attempts', async () => {
    const paymentId = await newPayment()
    const other = (await createEndpoint(api)).body.id
    const stored = [
      await storeDelivery(api, endpointId, paymentId, 'succeeded'),
      await storeDelivery(api, other, paymentId, 'expired'),
    ]
    const path = `/events/${stored[0]?.eventId}/redeliver`
    const answer = await send(api, 'post', path)
    expect(answer.status, answer.text).to.equal(202)
    expect(idsOf(answer)).to.deep.equal(stored.map(({ id }) => id))
    for (const delivery of answer.body.data)
      expect(delivery).to.include({ status: 'pending', failed_attempts: 0, replay: true, finished_at: null })
    const again = await send(api, 'get', `/events/${stored[0]?.eventId}/deliveries`)
    expect(again.body.data.map(({ attempts_made }: { attempts_made: [] }) => attempts_made.length)).to.deep.equal([
      1, 1,
    ])
    const { due_at } = await api.db
      .selectFrom('webhook_queues')
      .select('due_at')
      .where('endpoint_id', '=', other)
      .executeTakeFirstOrThrow()
    expect(Number(due_at)).to.be.at.most(Date.now() + 60_000)
    expect((await send(api, 'post', path)).text, 'a repetition').to.include('"status":"pending"')
  })

  it('POST /events/:id/redeliver: leaves alone a delivery that is being sent, one that is waiting, and other endpoints', async () => {
    const paymentId = await newPayment()
    const others = [(await createEndpoint(api)).body.id, (await createEndpoint(api)).body.id]
    const sent = await storeDelivery(api, endpointId, paymentId, 'pending')
    const waiting = await storeDelivery(api, others[0], paymentId, 'waiting')
    const succeeded = await storeDelivery(api, others[1], paymentId)
    const claim = { claim_token: uuidv7(), due_at: new Date('2100-01-01') }
    await api.db.updateTable('webhook_deliveries').set(claim).where('id', '=', sent.id).execute()
    const before = await Promise.all([sent, waiting, succeeded].map(({ id }) => row(id)))
    for (const endpoint_id of [endpointId, others[0]])
      expect((await send(api, 'post', `/events/${sent.eventId}/redeliver`, { endpoint_id })).status).to.equal(202)
    expect(await Promise.all([sent, waiting, succeeded].map(({ id }) => row(id)))).to.deep.equal(before)
  })

  it('POST /events/:id/redeliver: answers 404 for no event and for an endpoint that has no delivery of it', async () => {
    const paymentId = await newPayment()
    for (const [id, body] of [
      [`evt_${paymentId}_1`, {}],
      [`evt_${paymentId}_1`, { endpoint_id: endpointId }],
      [`evt_${UNKNOWN_ID}_1`, {}],
      ['x', {}],
    ] as const)
      expectProblem(await send(api, 'post', `/events/${id}/redeliver`, body), 404, 'not-found')
    const wrong = { endpoint_id: 'x', more: 1 }
    expect(pointers(await send(api, 'post', `/events/evt_${paymentId}_1/redeliver`, wrong))).to.have.members([
      '#/endpoint_id',
      '#/more',
    ])
  })

  it('POST /webhook-endpoints/:id/replay: starts after an event, at a time, and with some types', async () => {
    const paymentId = await newPayment()
    for (const body of [
      { after: `evt_${paymentId}_1` },
      { after: '2026-01-01T00:00:00+01:00', types: ['payment.failed'] },
    ]) {
      const answer = await send(api, 'post', `/webhook-endpoints/${endpointId}/replay`, body)
      expect(answer.status, answer.text).to.equal(202)
      expect(answer.body)
        .to.include({ endpoint_id: endpointId })
        .and.deep.include({ types: body.types ?? null })
      await api.db.updateTable('webhook_replays').set({ finished_at: new Date() }).execute()
    }
  })

  it('POST /webhook-endpoints/:id/replay: begins with what was missed, once, and not while the endpoint is disabled', async () => {
    const path = `/webhook-endpoints/${endpointId}`
    await send(api, 'patch', path, { enabled: false })
    expectProblem(await send(api, 'post', `${path}/replay`), 409, 'endpoint-disabled')
    await send(api, 'patch', path, { enabled: true })
    expect((await send(api, 'post', `${path}/replay`)).status).to.equal(202)
    expectProblem(await send(api, 'post', `${path}/replay`), 409, 'replay-running')
    await api.db.updateTable('webhook_replays').set({ finished_at: new Date() }).execute()
    expectProblem(await send(api, 'post', `${path}/replay`), 409, 'nothing-missed')
    expect((await send(api, 'get', path)).body.missed_since).to.equal(null)
  })

  it('POST /webhook-endpoints/:id/replay: answers 404 if no event has the id in after', async () => {
    const body = { after: `evt_${UNKNOWN_ID}_1` }
    expectProblem(await send(api, 'post', `/webhook-endpoints/${endpointId}/replay`, body), 404, 'not-found')
  })

  for (const after of ['x', 7, null, '2026-01-01', '2026-01-01T00:00:00'])
    it(`POST /webhook-endpoints/:id/replay: refuses to begin after ${JSON.stringify(after)}`, async () => {
      const answer = await send(api, 'post', `/webhook-endpoints/${endpointId}/replay`, { after })
      expect(pointers(answer)).to.deep.equal(['#/after'])
    })
})

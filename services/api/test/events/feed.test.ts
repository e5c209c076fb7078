import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { bodyWith, expectProblem, expectSharedHeaders } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { startApiOnOwnServer } from './start-own-server.ts'

describe('GET /events', () => {
  let api: ApiUnderTest & { databaseUrl: string }
  /** The key of a new merchant, as a header. */
  let key: Record<string, string>
  let merchantId: string
  before(async () => {
    api = await startApiOnOwnServer({ auth: AUTH })
  })
  beforeEach(async () => {
    merchantId = randomUUID()
    key = { Authorization: `Bearer ${(await createKey(api, { merchantId })).text}` }
    api.logs.length = 0
  })
  after(() => api?.stop())

  const get = (path: string) => api.agent.get(path).set(key)
  async function pay(reference?: string) {
    const { status, body } = await api.agent
      .post('/payments')
      .set({ ...key, 'Content-Type': 'application/json', 'Request-Id': 'req-1' })
      .send(bodyWith(reference === undefined ? {} : { reference }))
    expect(status).to.equal(201)
    return body
  }

  /** Stores the event of a payment that failed, as an operator who gave a reason. */
  const failByHand = async (id: string, createdAt: Date) => {
    const payments = api.db
      .updateTable('payments')
      .set({ status: 'FAILED', failure_code: 'card_declined', settled_at: createdAt })
    await payments.where('id', '=', id).execute()
    const data = JSON.stringify({ failure_code: 'card_declined', reason: 'told on the phone' })
    const event = {
      payment_id: id,
      merchant_id: merchantId,
      sequence: 2,
      type: 'payment.failed',
      data,
      actor: 'operator',
    }
    await api.db
      .insertInto('payment_events')
      .values({ ...event, created_at: createdAt, request_id: null })
      .execute()
  }

  // Promise 85
  it('GET /events: shows the listed members of an event, and nothing of an operator’s reason', async () => {
    const payment = await pay()
    await failByHand(payment.id, new Date('2030-01-02T03:04:05.678Z'))
    const answer = await get('/events')
    expect(answer.status).to.equal(200)
    expectSharedHeaders(answer.headers, 'private, no-cache')
    const { data, next_cursor, ...page } = answer.body
    expect(page).to.deep.equal({ has_more: false, delayed_ms: 0 })
    expect(next_cursor).to.match(/^[\w-]{80,200}$/)
    const { id, currency, reference, created_at } = payment
    const shared = { id, amount: 100.5, amount_minor: 10_050, currency, reference, created_at }
    expect(data).to.deep.equal([
      {
        ...{ id: `evt_${id}_1`, type: 'payment.created', sequence: 1, previous_event_id: null },
        payment: { ...shared, status: 'PENDING' },
        ...{ failure_code: null, actor: 'api', request_id: 'req-1', created_at },
      },
      {
        ...{ id: `evt_${id}_2`, type: 'payment.failed', sequence: 2, previous_event_id: `evt_${id}_1` },
        payment: { ...shared, status: 'FAILED' },
        ...{
          failure_code: 'card_declined',
          actor: 'operator',
          request_id: null,
          created_at: '2030-01-02T03:04:05.678Z',
        },
      },
    ])
    expect(answer.text).to.include('"amount":100.50,"amount_minor":10050,')
    expect((await get('/api/v1/events')).body).to.deep.equal(answer.body)
    for (const path of ['/payments', '/api/v1/payments'])
      expect((await get(`${path}/${id}/events`)).body).to.deep.equal({ data })
  })

  it('GET /events: pages with next_cursor, and its last cursor finds what happens later', async () => {
    const ids: string[] = []
    for (let count = 0; count < 5; count++) ids.push((await pay()).id)
    const seen: string[] = []
    let cursor = ''
    const next = async () => {
      const { body } = await get(`/events?limit=2${cursor && `&after=${cursor}`}`)
      seen.push(...body.data.map(({ payment }: { payment: { id: string } }) => payment.id))
      cursor = body.next_cursor
      return body.has_more
    }
    expect([await next(), await next(), await next(), await next()]).to.deep.equal([true, true, false, false])
    const later = (await pay()).id
    await next()
    expect(seen).to.deep.equal([...ids, later])
  })

  it('GET /events: shows the events of one type', async () => {
    const { id } = await pay()
    await pay()
    await failByHand(id, new Date())
    const { body } = await get('/events?type=payment.failed')
    expect(body.data.map((event: { id: string }) => event.id)).to.deep.equal([`evt_${id}_2`])
    expect((await get('/events?type=payment.succeeded')).body).to.deep.include({ data: [], has_more: false })
    const all = await get('/events?limit=1')
    const foreign = await get(`/events?type=payment.failed&after=${all.body.next_cursor}`)
    expectProblem(foreign, 400, 'invalid-cursor')
  })

  // Promise 86
  it('GET /events: stops before an event that it cannot show, names it in the log, and goes on when it can', async () => {
    const ids: string[] = []
    for (let count = 0; count < 3; count++) ids.push((await pay()).id)
    const hidden = ids[1] ?? ''
    const setCurrency = (currency: string) =>
      api.db.updateTable('payments').set({ currency }).where('id', '=', hidden).execute()
    const paymentsOf = (body: { data: { payment: { id: string } }[] }) => body.data.map(({ payment }) => payment.id)
    await setCurrency('EUR')
    api.logs.length = 0
    const first = await get('/events')
    expect(paymentsOf(first.body)).to.deep.equal(ids.slice(0, 1))
    const second = await get(`/events?after=${first.body.next_cursor}`)
    for (const { body } of [first, second]) {
      expect(body.has_more).to.equal(false)
      expect(body.delayed_ms).to.be.greaterThan(0)
    }
    expect(second.body.data).to.deep.equal([])
    const errors = api.logs.filter(({ level }) => level === 'error')
    expect(errors.map(({ event_id, currency }) => [event_id, currency])).to.deep.equal([[`evt_${hidden}_1`, 'EUR']])
    await setCurrency('USD')
    const { body } = await get(`/events?after=${second.body.next_cursor}`)
    expect(paymentsOf(body)).to.deep.equal(ids.slice(1))
    expect(body).to.include({ has_more: false, delayed_ms: 0 })
  })

  // Promise 85
  it('GET /payments/:id/events: shows events without a payment that it cannot show, and logs their ids', async () => {
    const { id } = await pay()
    await api.db.updateTable('payments').set({ currency: 'EUR' }).where('id', '=', id).execute()
    api.logs.length = 0
    const { status, body } = await get(`/payments/${id}/events`)
    expect(status).to.equal(200)
    expect(body.data).to.have.length(1)
    expect(body.data[0]).to.include({ id: `evt_${id}_1`, type: 'payment.created', sequence: 1, payment: null })
    const [line, ...others] = api.logs.filter(({ level }) => level === 'error')
    expect(line?.event_ids).to.deep.equal([`evt_${id}_1`])
    expect(others).to.deep.equal([])
  })

  it('GET /events: refuses a cursor of another merchant', async () => {
    await pay()
    const { next_cursor } = (await get('/events')).body
    const other = { Authorization: `Bearer ${(await createKey(api)).text}` }
    expectProblem(await api.agent.get(`/events?after=${next_cursor}`).set(other), 400, 'invalid-cursor')
  })

  const WRONG: [query: string, named: string][] = [
    ...['0', '101', '-1', '1.0', '01', '', 'x', '1e1', '%201'].map(
      (limit) => [`limit=${limit}`, 'limit'] as [string, string],
    ),
    ...([
      ['limit=1&limit=1', 'limit'],
      ['type=payment.created&type=payment.created', 'type'],
      ['type=x', 'type'],
    ] as [string, string][]),
    ...([
      ['cursor=x', 'cursor'],
      ['Limit=1', 'Limit'],
      ['__proto__=1', '__proto__'],
      ['type', 'type'],
      ['=', '""'],
    ] as [string, string][]),
  ]
  for (const [query, named] of WRONG)
    it(`GET /events: answers 400 to ?${query}, and names the parameter`, async () => {
      const answer = await get(`/events?${query}`)
      expectProblem(answer, 400, 'validation-error')
      expect(answer.body.errors.map(({ parameter }: { parameter: string }) => parameter)).to.include(named)
    })

  it('GET /payments/:id/events: answers 400 to a parameter', async () => {
    expectProblem(await get(`/payments/${(await pay()).id}/events?limit=1`), 400, 'validation-error')
  })
})

import { cancelPayment, createSettledNotifier } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually, openSocket, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { Response } from 'supertest'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, type StartOptions, startApi } from '../start-api.ts'

const HINTS = { holds() {}, ended() {} }

describe('Prefer: wait', () => {
  let api: ApiUnderTest
  afterEach(() => api.stop())

  const start = async (options?: StartOptions) => {
    api = await startApi(options)
  }
  const create = async (): Promise<string> => (await post(api, bodyWith())).body.id
  const get = (id: string, wait: number | string) =>
    api.agent.get(`/payments/${id}`).set('Prefer', `wait=${wait}`).then()
  const untilWaiting = (count: number) => eventually(() => expect(api.waits.waiting).to.equal(count))
  /** Settles a payment as another process does. */
  async function settle(id: string, { notifies = true } = {}): Promise<void> {
    await sql`update payments set status = 'SUCCESS', settled_at = now() where id = ${id}`.execute(api.db)
    if (notifies) createSettledNotifier(api.db, HINTS).notify(id)
  }
  const expectPending = ({ status, body, headers }: Response, applied?: string) => {
    expect([status, body.status, body.waiting_for]).to.deep.equal([200, 'PENDING', 'queue'])
    expect(headers['preference-applied']).to.equal(applied)
    expect(headers).to.have.property('retry-after')
  }

  // Promise 89
  it('api: POST and GET that wait are answered when a notification says that the payment is settled', async () => {
    await start({ polls: false })
    const body = bodyWith({ reference: 'REF-WAIT' })
    const posted = post(api, body, '/payments', { Prefer: 'wait=30', 'Idempotency-Key': 'of-a-wait' })
    await untilWaiting(1)
    const { id } = await api.db.selectFrom('payments').select('id').executeTakeFirstOrThrow()
    const got = get(id, 30)
    await untilWaiting(2)
    const stopwatch = startStopwatch()
    await settle(id)
    for (const { response, status } of [
      { response: await posted, status: 201 },
      { response: await got, status: 200 },
    ]) {
      expect(response.status, response.text).to.equal(status)
      expect(response.body).to.include({ id, status: 'SUCCESS' })
      expect(response.headers['preference-applied']).to.equal('wait=30')
      expect(response.headers).to.not.have.property('retry-after')
    }
    expect(stopwatch.stop(), 'ms, and not the 30 s of the wait').to.be.lessThan(10_000)
    const replay = { 'Idempotency-Key': 'of-a-wait' }
    const again = await post(api, body, '/payments', { ...replay, Prefer: 'wait=99' })
    expect([again.status, again.body.status]).to.deep.equal([201, 'SUCCESS'])
    expect(again.headers).to.include({ 'preference-applied': 'wait=30', 'idempotent-replayed': 'true' })
    expect((await post(api, body, '/payments', replay)).body.status, 'without wait').to.equal('PENDING')
  })

  // Promise 89
  it('api: a request that waits finds a settled payment within a second without any notification', async () => {
    await start({ listens: false })
    const id = await create()
    const got = get(id, 30)
    await untilWaiting(1)
    await settle(id, { notifies: false })
    const stopwatch = startStopwatch()
    expect((await got).body.status).to.equal('SUCCESS')
    expect(stopwatch.stop()).to.be.lessThan(3_000)
  })

  // Promise 89
  it('api: cancel answers the requests that wait for the payment', async () => {
    await start({ polls: false })
    const id = await create()
    const got = get(id, 30)
    await untilWaiting(1)
    const stopwatch = startStopwatch()
    await api.agent.post(`/payments/${id}/cancel`)
    expect((await got).body).to.include({ status: 'FAILED', failure_code: 'canceled' })
    expect(stopwatch.stop(), 'ms, and not the 30 s of the wait').to.be.lessThan(10_000)
  })

  it('api: a request whose wait ends shows the payment as it is', async () => {
    await start()
    const id = await create()
    const askedAt = performance.now()
    expectPending(await get(id, 1), 'wait=1')
    expect(performance.now() - askedAt).to.be.at.least(990) // Timers of Node may fire a millisecond early.
    expectPending(await get(id, 0), 'wait=0')
    expect(api.waits.waiting).to.equal(0)
  })

  it('api: POST with wait=0 shows the payment as it is', async () => {
    await start()
    const { status, body, headers } = await post(api, bodyWith(), '/payments', { Prefer: 'wait=0' })
    expect(status).to.equal(201)
    expect(body).to.include({ status: 'PENDING', waiting_for: 'queue' })
    expect(headers).to.include({ 'preference-applied': 'wait=0', 'retry-after': '1' })
  })

  it('api: GET with wait answers 404, 409 and 422 at once, and 304 to a client that has the payment', async () => {
    await start()
    expectProblem(await get('019a0000-0000-7000-8000-000000000000', 30), 404, 'not-found')
    const body = bodyWith()
    const { id } = (await post(api, body)).body
    expectProblem(await post(api, body, '/payments', { Prefer: 'wait=30' }), 409, 'duplicate-reference')
    await settle(id)
    const { etag = '' } = (await get(id, 30)).headers
    const fresh = await api.agent.get(`/payments/${id}`).set({ Prefer: 'wait=30', 'If-None-Match': etag })
    expect([fresh.status, fresh.headers['preference-applied']]).to.deep.equal([304, 'wait=30'])
  })

  // Promise 93
  it('api: above the limit, the request that has waited longest is answered at once', async () => {
    await start({ waitsMax: 2 })
    const id = await create()
    const first = get(id, 30)
    await untilWaiting(1)
    const second = get(id, 30)
    await untilWaiting(2)
    const third = get(id, 30)
    expectPending(await first)
    expect(api.waits.waiting).to.equal(2)
    await settle(id)
    for (const { body } of [await second, await third]) expect(body.status).to.equal('SUCCESS')
  })

  // Promise 89
  it('api: a process that stops answers the requests that wait, and those that come', async () => {
    await start()
    const id = await create()
    const posted = post(api, bodyWith(), '/payments', { Prefer: 'wait=30' })
    const got = get(id, 30)
    await untilWaiting(2)
    await api.waits.stop()
    expectPending(await got)
    expect((await posted).body.status).to.equal('PENDING')
    expectPending(await get(id, 30))
  })

  it('api: a request whose client has gone waits no longer', async () => {
    await start()
    const id = await create()
    const socket = openSocket(api.http.url)
    socket.write(`GET /payments/${id} HTTP/1.1\r\nHost: x\r\nPrefer: wait=30\r\n\r\n`)
    await untilWaiting(1)
    socket.destroy()
    await untilWaiting(0)
    await eventually(() => {
      expect(api.logs.map(({ message }) => message)).to.include('request abandoned by its client')
    })
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
  })

  // Promise 93
  it('api: a waiting connection outlives the limit of a silent client, and holds no place in a queue', async () => {
    await start({ unreadMs: 200 })
    const id = await create()
    const waiting = Array.from({ length: 20 }, () => get(id, 2))
    await untilWaiting(20)
    expect([api.reads.running, api.writes.running]).to.deep.equal([0, 0])
    for (const response of await Promise.all(waiting)) expectPending(response, 'wait=2')
  })

  // Promise 89
  it('api: a notification costs a look-up only if a request waits for its payment', async () => {
    await start({ polls: false })
    const [mine, others] = [await create(), await create()]
    const got = get(mine, 30)
    await eventually(() => expect(api.finds).to.include({ find: 1, names: 1 }))
    await settle(others)
    await settle(mine)
    expect((await got).body.status).to.equal('SUCCESS')
    expect(api.finds).to.include({ find: 2, names: 2 })
  })

  // Promises 25, 89
  it('api: while PostgreSQL is away, GET with wait gets 503, and a stored POST its 201', async () => {
    await start()
    const id = await create()
    const posted = post(api, bodyWith(), '/payments', { Prefer: 'wait=1' })
    const waiting = get(id, 1)
    await untilWaiting(2)
    api.proxy.cut()
    const stopwatch = startStopwatch()
    expectProblem(await get(id, 30), 503, 'unavailable')
    expect(stopwatch.stop()).to.be.lessThan(8_000)
    expectProblem(await waiting, 503, 'unavailable')
    const { status, body, headers } = await posted
    expect([status, body.status, body.waiting_for]).to.deep.equal([201, 'PENDING', undefined])
    expect(headers).to.not.have.property('preference-applied')
    api.proxy.restore()
    await eventually(async () => expect((await get(id, 0)).status).to.equal(200))
  }).timeout(30_000)

  // Promises 25, 89
  it('api: a stored POST gets its 201 if PostgreSQL cannot read its payment at the end of the wait', async () => {
    await start({ polls: false })
    const posted = post(api, bodyWith(), '/payments', { Prefer: 'wait=1' })
    await untilWaiting(1)
    // As for a damaged row, PostgreSQL answers the look-up with an error that it would repeat.
    await sql`alter table payments rename column parked_at to unreadable`.execute(api.db)
    const { status, body, headers } = await posted
    expect([status, body.status, body.waiting_for]).to.deep.equal([201, 'PENDING', undefined])
    expect(headers).to.not.have.property('preference-applied')
    expect(api.logs.map(({ message }) => message)).to.include('a stored payment could not be looked up for its answer')
  })

  // Promise 89
  it('api: a payment that is settled while PostgreSQL is away is found when it is back', async () => {
    await start()
    const id = await create()
    const got = get(id, 30)
    await untilWaiting(1)
    api.proxy.cut()
    await cancelPayment(api.db, { merchantId: DEFAULT_MERCHANT_ID, id, requestId: 'r-1' })
    await eventually(() => {
      expect(api.logs.map(({ message }) => message)).to.include(
        'payments that requests wait for could not be looked up, trying again',
      )
    })
    api.proxy.restore()
    expect((await got).body).to.include({ status: 'FAILED', failure_code: 'canceled' })
  }).timeout(30_000)
})

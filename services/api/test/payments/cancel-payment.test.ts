import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('POST /payments/:id/cancel', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  const create = async () => (await post(api, bodyWith())).body
  const set = (id: string, assignments: string) =>
    sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(api.db)

  for (const mount of ['/payments', '/api/v1/payments']) {
    // Promise 91
    it(`api: POST ${mount}/:id/cancel answers 200 with the canceled payment, and the same again`, async () => {
      const created = await create()
      const canceled = await api.agent.post(`${mount}/${created.id}/cancel`).set('Request-Id', 'order-8')
      expect(canceled.status, canceled.text).to.equal(200)
      expect(canceled.body).to.deep.equal({ ...created, status: 'FAILED', failure_code: 'canceled' })
      expect(canceled.headers['cache-control']).to.equal('no-store')
      const again = await api.agent.post(`${mount}/${created.id.toUpperCase()}/cancel`)
      expect([again.status, again.text]).to.deep.equal([200, canceled.text])
      expect((await api.agent.get(`${mount}/${created.id}`)).text).to.equal(canceled.text)
      const events = await api.db
        .selectFrom('payment_events')
        .select(['type', 'actor', 'request_id'])
        .where('payment_id', '=', created.id)
        .where('sequence', '=', 2)
        .execute()
      expect(events).to.deep.equal([{ type: 'payment.failed', actor: 'api', request_id: 'order-8' }])
    })
  }

  // Promise 91
  it('api: cancel answers 409 not-cancelable with the status and what the payment waits for', async () => {
    const [pending, success] = [await create(), await create()]
    await set(pending.id, "claim_token = gen_random_uuid(), lease_until = now() - interval '1 minute'")
    await set(success.id, "status = 'SUCCESS', settled_at = now()")
    const expired = await api.agent.post(`/payments/${pending.id}/cancel`)
    expectProblem(expired, 409, 'not-cancelable')
    expect(expired.body).to.include({ payment_id: pending.id, payment_status: 'PENDING', waiting_for: 'worker' })
    const settled = await api.agent.post(`/payments/${success.id}/cancel`)
    expectProblem(settled, 409, 'not-cancelable')
    expect(settled.body).to.include({ payment_id: success.id, payment_status: 'SUCCESS' })
    expect(settled.body).to.not.have.property('waiting_for')
  })

  it('api: cancel answers 404 to an unknown id, and to one that is no UUID', async () => {
    for (const id of [randomUUID(), 'x'])
      expectProblem(await api.agent.post(`/payments/${id}/cancel`), 404, 'not-found')
  })

  it('api: cancel answers a request with any body, and goes on with the connection', async () => {
    const { id } = await create()
    const response = await post(api, 'x'.repeat(100_000), `/payments/${id}/cancel`)
    expect(response.body).to.include({ status: 'FAILED' })
  })

  it('api: cancel answers other methods with 405', async () => {
    const response = await api.agent.get(`/payments/${randomUUID()}/cancel`)
    expectProblem(response, 405, 'method-not-allowed')
    expect(response.headers.allow).to.equal('POST, OPTIONS')
  })

  it('api: cancel holds none of the places of POST and GET', async () => {
    const [locked, other] = [await create(), await create()]
    let canceled: PromiseLike<{ status: number }>[] = []
    await api.db.transaction().execute(async (tx) => {
      await sql`select 1 from payments where id = ${locked.id} for update`.execute(tx)
      canceled = Array.from({ length: 10 }, () => api.agent.post(`/payments/${locked.id}/cancel`).then())
      expect((await post(api, bodyWith())).status).to.equal(201)
      expect((await api.agent.get(`/payments/${other.id}`)).status).to.equal(200)
      expect([api.writes.running, api.reads.running]).to.deep.equal([0, 0])
    })
    for (const { status } of await Promise.all(canceled)) expect(status).to.equal(200)
  })
})

describe('cancel and advance with keys', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  it('api: cancel and advance need the scope payments:write', async () => {
    const { text } = await createKey(api, { scopes: ['payments:read'] })
    for (const path of [`/payments/${randomUUID()}/cancel`, `/test/payments/${randomUUID()}/advance`])
      expectProblem(await api.agent.post(path).set('Authorization', `Bearer ${text}`), 403, 'forbidden')
  })

  // Promise 91
  it('api: cancel is answered while another merchant has 50 cancels that wait for a lock', async () => {
    const [flooding, other] = await Promise.all(
      [1, 2].map(async () => {
        const headers = { Authorization: `Bearer ${(await createKey(api)).text}` }
        const { body } = await post(api, bodyWith(), '/payments', headers)
        return { id: body.id, cancel: () => api.agent.post(`/payments/${body.id}/cancel`).set(headers).then() }
      }),
    )
    if (!flooding || !other) throw new Error('Two were created')
    let flood: ReturnType<typeof other.cancel>[] = []
    let answered = 0
    const before = api.admitted.count
    await api.db.transaction().execute(async (tx) => {
      await sql`select 1 from payments where id = ${flooding.id} for update`.execute(tx)
      flood = Array.from({ length: 50 }, flooding.cancel)
      for (const answer of flood) void answer.finally(() => (answered += 1))
      await eventually(async () => {
        const { rows } = await sql`select from pg_stat_activity where datname = current_database()
          and wait_event_type = 'Lock' and query like '%from "payments"%'`.execute(api.db)
        expect(rows).to.have.length(1)
        expect(api.admitted.count - before).to.equal(flood.length)
      })
      expect((await other.cancel()).status).to.equal(200)
      expect(answered).to.equal(0)
    })
    for (const { status } of await Promise.all(flood)) expect(status).to.equal(200)
  })
})

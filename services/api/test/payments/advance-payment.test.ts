import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const LATER = "now() + interval '1 hour'"

describe('POST /test/payments/:id/advance', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  async function createAs(assignments: string): Promise<string> {
    const { id } = (await post(api, bodyWith())).body
    await sql`delete from outbox_messages where key = ${id}`.execute(api.db)
    await sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(api.db)
    return id
  }
  const advance = (id: string) => api.agent.post(`/test/payments/${id}/advance`).set('Request-Id', 'r-advance')
  const messages = (id: string) =>
    api.db.selectFrom('outbox_messages').select(['topic', 'payload', 'headers']).where('key', '=', id).execute()
  const isDue = async (id: string) => {
    const due = sql<boolean>`coalesce(lease_until <= now(), true)`
    return (await api.db.selectFrom('payments').select(due.as('due')).where('id', '=', id).executeTakeFirstOrThrow())
      .due
  }

  const SCHEDULED: [what: string, assignments: string, waitingFor: string][] = [
    ['a retry', `attempts = 3, lease_until = ${LATER}, redrive_at = ${LATER}`, 'retry'],
    ['a redrive', `redrive_at = ${LATER}`, 'queue'],
    ['a look-up of a charge', `provider_pending_since = now(), lease_until = ${LATER}`, 'pending'],
    [
      'a redrive behind a lease that ran out',
      `claim_token = gen_random_uuid(), lease_until = now() - interval '1 minute', redrive_at = ${LATER}`,
      'worker',
    ],
  ]
  for (const [what, assignments, waitingFor] of SCHEDULED) {
    // Promise 92
    it(`api: advance makes ${what} due now, and sends the payment to a worker`, async () => {
      const id = await createAs(assignments)
      const response = await advance(id)
      expect(response.status, response.text).to.equal(200)
      expect(response.body).to.include({ id, status: 'PENDING', waiting_for: waitingFor })
      expect(await isDue(id)).to.equal(true)
      expect(await messages(id)).to.deep.equal([
        { topic: 'payment.retry', payload: { payment_id: id }, headers: { 'x-request-id': 'r-advance' } },
      ])
    })
  }

  // Promise 92
  it('api: advance leaves a lease that runs alone: 409 with the time of its end', async () => {
    const id = await createAs(`claim_token = gen_random_uuid(), lease_until = now() + interval '20 seconds'`)
    const row = () => api.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    const before = await row()
    const response = await advance(id)
    expectProblem(response, 409, 'not-advanceable')
    expect(response.body).to.include({ payment_id: id, payment_status: 'PENDING', waiting_for: 'provider' })
    expect(response.body.next_action_at).to.equal(before.lease_until?.toISOString())
    expect(Number(response.headers['retry-after'])).to.be.within(1, 20)
    expect(await row()).to.deep.equal(before)
    expect(await messages(id)).to.deep.equal([])
  })

  it('api: advance refuses a parked payment, for which nothing is scheduled', async () => {
    const id = await createAs('parked_at = now(), redrive_at = null')
    const response = await advance(id)
    expectProblem(response, 409, 'not-advanceable')
    expect(response.body).to.include({ waiting_for: 'operator' })
    expect(response.body).to.not.have.property('next_action_at')
    expect(await messages(id)).to.deep.equal([])
  })

  it('api: advance answers 200 with a settled payment, and sends nothing', async () => {
    const id = await createAs("status = 'SUCCESS', settled_at = now()")
    const response = await advance(id)
    expect([response.status, response.body.status]).to.deep.equal([200, 'SUCCESS'])
    expect(await messages(id)).to.deep.equal([])
  })

  it('api: advance is also under /api/v1, and answers 404 to an unknown id', async () => {
    const id = await createAs('attempts = 1')
    expect((await api.agent.post(`/api/v1/test/payments/${id}/advance`)).status).to.equal(200)
    for (const unknown of [randomUUID(), 'x']) expectProblem(await advance(unknown), 404, 'not-found')
  })
})

describe('the test routes of a live deployment', () => {
  // Promise 92
  it('api: a live deployment has no route for tests', async () => {
    const live = await startApi({ sandbox: false })
    try {
      const { id } = (await post(live, bodyWith())).body
      for (const path of ['/test/payments', '/api/v1/test/payments'])
        expectProblem(await live.agent.post(`${path}/${id}/advance`), 404, 'not-found')
    } finally {
      await live.stop()
    }
  })
})

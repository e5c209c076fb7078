import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('Prefer: wait under overload', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ queueMax: 2 })
  })
  after(() => api.stop())

  // Promise 93
  it('api: GET with wait is answered like one without while as many others are looked up as may wait', async () => {
    const { id } = (await post(api, bodyWith())).body
    const settled = (await post(api, bodyWith())).body.id
    await sql`update payments set status = 'SUCCESS', settled_at = now() where id = ${settled}`.execute(api.db)
    const get = (wanted: string, wait: number) =>
      api.agent
        .get(`/payments/${wanted}`)
        .set({ Prefer: `wait=${wait}` })
        .then()
    let held: ReturnType<typeof get>[] = []
    let beyond: ReturnType<typeof get>[] = []
    await api.db.transaction().execute(async (tx) => {
      await sql`lock table payments in access exclusive mode`.execute(tx)
      held = [get(id, 0), get(settled, 30)]
      await eventually(() => expect(api.admitted.count).to.equal(4))
      beyond = [get(id, 0), get(id, 30)]
      await eventually(() => expect(api.admitted.count).to.equal(6))
    })
    for (const { status, body, headers } of await Promise.all(beyond)) {
      expect([status, body.status]).to.deep.equal([200, 'PENDING'])
      expect(headers).to.not.have.property('preference-applied')
    }
    const answers = await Promise.all(held)
    expect(answers.map(({ status, body }) => [status, body.status])).to.deep.equal([
      [200, 'PENDING'],
      [200, 'SUCCESS'],
    ])
    expect((await get(settled, 30)).status).to.equal(200)
    const messages = api.logs.map(({ message }) => message)
    expect(messages).to.include('overloaded, not letting requests wait for a payment')
    expect(messages).to.include('no longer overloaded, letting requests wait for a payment')
  })
})

describe('Prefer: wait of a POST under overload', () => {
  it('api: a repeated POST gets its 201 although its wait is refused', async () => {
    const api = await startApi({ queueMax: 0 })
    try {
      const send = () => post(api, body, '/payments', { 'Idempotency-Key': 'of-a-wait', Prefer: 'wait=30' })
      const body = bodyWith()
      const { id } = (await post(api, body, '/payments', { 'Idempotency-Key': 'of-a-wait' })).body
      const got = await api.agent.get(`/payments/${id}`).set({ Prefer: 'wait=30' })
      expect([got.status, got.body.status]).to.deep.equal([200, 'PENDING'])
      const { status, body: again, headers } = await send()
      expect([status, again.id, again.status]).to.deep.equal([201, id, 'PENDING'])
      expect(headers).to.include({ 'idempotent-replayed': 'true' }).and.not.have.property('preference-applied')
      expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    } finally {
      await api.stop()
    }
  })
})

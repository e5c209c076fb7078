import { expect } from 'chai'
import { bodyWith, expectProblem, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('GET /payments/:id', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  it('shows the payment’s current status', async () => {
    const { body: created } = await post(api, bodyWith())
    await api.db
      .updateTable('payments')
      .set({ status: 'SUCCESS', settled_at: new Date() })
      .where('id', '=', created.id)
      .execute()
    const response = await api.agent.get(`/payments/${created.id}`)
    expect(response.status).to.equal(200)
    expect(response.body).to.deep.equal({ ...created, status: 'SUCCESS' })
    expect((await api.agent.get(`/payments/${created.id.toUpperCase()}`)).body.id).to.equal(created.id)
  })

  it('shows a stored reference without visible characters, which POST rejects', async () => {
    const { body: created } = await post(api, bodyWith())
    await api.db.updateTable('payments').set({ reference: '\u200b ' }).where('id', '=', created.id).execute()
    const response = await api.agent.get(`/payments/${created.id}`)
    expect(response.status).to.equal(200)
    expect(response.body).to.include({ ...created, reference: '\u200b ' })
  })

  it('answers a HEAD request without a body', async () => {
    const { body: created } = await post(api, bodyWith())
    const response = await api.agent.head(`/payments/${created.id}`)
    expect(response.status).to.equal(200)
    expect(response.text).to.equal(undefined)
  })

  const UNKNOWN = [
    '019a0000-0000-7000-8000-000000000000',
    ...['x', '1', 'null', '019a0000000070008000000000000000', '{019a0000-0000-7000-8000-000000000000}'],
    ...['%00', "'%20or%20'1'='1", '019a0000-0000-7000-8000-00000000000g', '019a0000-0000-7000-8000-000000000000%0a'],
    'x'.repeat(8_000),
  ]
  for (const id of UNKNOWN) {
    it(`answers 404 to the id ${id.slice(0, 40)}`, async () => {
      expectProblem(await api.agent.get(`/payments/${id}`), 404, 'not-found')
      expectProblem(await api.agent.get(`/api/v1/payments/${id}`), 404, 'not-found')
    })
  }
})

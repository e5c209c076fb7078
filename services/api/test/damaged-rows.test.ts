import { defined } from '@cashflow/async'
import { type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, newReference, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('api: damaged page', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let api: ApiUnderTest
  let damaged: { id: string; reference: string }

  before(async () => {
    server = await startPrivatePostgres()
    api = await startApi({ given: { url: server.url, name: 'payments', drop: () => server.stop() } })
    // Enough to fill the first page, so that PostgreSQL stores no new payment there.
    const references = Array.from({ length: 150 }, newReference)
    await Promise.all(references.map((reference) => post(api, bodyWith({ reference }))))
    const { rows } = await sql<typeof damaged>`
      select id, reference from payments where ctid < '(1,0)'::tid limit 1`.execute(api.db)
    damaged = defined(rows[0], 'payment on the first page')
    await server.damage('payments', [0])
    // The old sessions are gone.
    await api.agent.get('/health').retry(5)
  })
  after(() => api.stop())

  // Promise 45
  it('answers 500 for a payment whose row is on a damaged page, and logs PostgreSQL’s error', async () => {
    api.logs.length = 0
    const response = await api.agent.get(`/payments/${damaged.id}`)
    expectProblem(response, 500, 'internal')
    expect(response.headers).to.not.have.property('retry-after')
    const [line] = api.logs.filter(({ level }) => level === 'error')
    expect(line).to.include({ message: 'request failed' })
    expect(line?.error).to.include({ code: 'XX001' })
    expect((await api.agent.get('/health')).status).to.equal(200)
  })

  // Promise 45
  it('fails no other payment in the transaction of a POST with the reference of a payment on a damaged page', async () => {
    const references = Array.from({ length: 20 }, newReference)
    references[7] = damaged.reference
    const responses = await Promise.all(references.map((reference) => post(api, bodyWith({ reference }))))
    const statuses = responses.map(({ status }) => status)
    expect(statuses).to.deep.equal(references.map((reference) => (reference === damaged.reference ? 500 : 201)))
  })
})

import { defined } from '@cashflow/async'
import { type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, newReference, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

/** Makes rows longer, so that fewer are on a page, and none fits into what is left of the first one. */
const NOTE = `, "metadata": {"note": "${'x'.repeat(500)}"}}`
const longBody = (reference: string) => bodyWith({ reference }).replace(/}$/, NOTE)

describe('api: damaged page', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let api: ApiUnderTest
  let damaged: { id: string; reference: string }
  /** References of all payments, and of those on the damaged page. */
  let references: string[]
  let lost: string[]

  before(async () => {
    server = await startPrivatePostgres()
    api = await startApi({ given: { url: server.url, name: 'payments', drop: () => server.stop() } })
    // Enough to fill the first page, so that PostgreSQL stores no new payment there.
    references = Array.from({ length: 150 }, newReference)
    await Promise.all(references.map((reference) => post(api, longBody(reference))))
    const { rows } = await sql<typeof damaged>`
      select id, reference from payments where ctid < '(1,0)'::tid`.execute(api.db)
    lost = rows.map(({ reference }) => reference)
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

  it('lists all payments but those on a damaged page, and logs their ids', async () => {
    api.logs.length = 0
    const shown: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { status, body, text } = await api.agent.get(`/payments?limit=50${cursor && `&cursor=${cursor}`}`)
      expect(status, text).to.equal(200)
      shown.push(...body.data.map(({ reference }: { reference: string }) => reference))
      cursor = body.next_cursor
    }
    expect(new Set(shown)).to.deep.equal(new Set(references.filter((reference) => !lost.includes(reference))))
    expect(shown).to.have.length(references.length - lost.length)
    const logged = api.logs.filter(({ message }) => message === 'payments cannot be shown, a list leaves them out')
    expect(new Set(logged.flatMap(({ payment_ids }) => payment_ids)).size).to.equal(lost.length)
    expect(logged[0]?.error).to.include({ code: 'XX001' })
    expect((await api.agent.get(`/payments?reference=${damaged.reference}`)).status).to.equal(500)
  })

  // Promise 45
  it('fails no other payment in the transaction of a POST with the reference of a payment on a damaged page', async () => {
    const references = Array.from({ length: 20 }, newReference)
    references[7] = damaged.reference
    const responses = await Promise.all(references.map((reference) => post(api, longBody(reference))))
    const statuses = responses.map(({ status }) => status)
    expect(statuses).to.deep.equal(references.map((reference) => (reference === damaged.reference ? 500 : 201)))
  })
})

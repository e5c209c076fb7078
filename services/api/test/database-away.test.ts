import { createDatabase, type Tables } from '@cashflow/db'
import { eventually, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { bodyWith, expectProblem, newReference, post, stored } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const ID = '019a0000-0000-7000-8000-000000000000'

describe('api without PostgreSQL', () => {
  let api: ApiUnderTest
  beforeEach(async () => {
    api = await startApi()
  })
  afterEach(() => api.stop())

  function expectUnavailable(response: Parameters<typeof expectProblem>[0]): void {
    expectProblem(response, 503, 'unavailable')
    expect(response.headers['retry-after']).to.match(/^[1-9][0-9]*$/)
  }

  async function endSessions(by: Kysely<Tables>): Promise<void> {
    const database = new URL(api.proxy.url).pathname.slice(1)
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${database} and pid <> pg_backend_pid()`.execute(by)
  }

  async function expectRecovery(): Promise<void> {
    await eventually(async () => {
      expect((await api.agent.get('/health')).body).to.deep.equal({ status: 'ok' })
      expect((await post(api, bodyWith())).status).to.equal(201)
    })
  }

  // Promise 25
  it('answers 503 while connections are refused, and recovers', async () => {
    expect((await post(api, bodyWith())).status).to.equal(201)
    api.proxy.cut()
    const body = bodyWith()
    expectUnavailable(await post(api, body))
    expectUnavailable(await api.agent.get(`/payments/${ID}`))
    const health = await api.agent.get('/health')
    expectUnavailable(health)
    expect(health.body.failing).to.deep.equal(['postgresql'])
    expect(await stored(api)).to.deep.equal({ payments: 1, events: 1, messages: 1 })
    api.proxy.restore()
    await expectRecovery()
    expect((await post(api, body)).status).to.equal(201)
  })

  // Promise 25
  it('answers 503 while the database accepts no connections, and recovers', async () => {
    const url = new URL(api.proxy.url)
    const name = sql.id(url.pathname.slice(1))
    url.pathname = '/postgres'
    const postgres = createDatabase({ url: url.href, applicationName: 'api-test', poolMax: 1, logger: nullLogger })
    await sql`alter database ${name} with allow_connections false`.execute(postgres)
    await endSessions(postgres)
    expectUnavailable(await post(api, bodyWith()))
    const health = await api.agent.get('/health')
    expectUnavailable(health)
    const line = api.logs.find(({ request_id }) => request_id === health.body.request_id)
    expect(line?.error, 'PostgreSQL’s own words').to.match(/not currently accepting connections/)
    await sql`alter database ${name} with allow_connections true`.execute(postgres)
    await postgres.destroy()
    await expectRecovery()
  })

  it('answers as usual after PostgreSQL has ended idle sessions', async () => {
    await Promise.all(Array.from({ length: 10 }, () => api.agent.get(`/payments/${ID}`)))
    await endSessions(api.db)
    expect((await post(api, bodyWith())).status).to.equal(201)
  })

  // Promise 3
  it('answers 201 and stores the payment once when PostgreSQL’s answer is lost', async () => {
    const reference = newReference()
    api.proxy.loseAnswerTo('with "given"')
    const response = await post(api, bodyWith({ reference }))
    expect(response.status, response.text).to.equal(201)
    expect(api.proxy.lost).to.equal(1)
    expect(await stored(api)).to.deep.equal({ payments: 1, events: 1, messages: 1 })
    const found = await api.agent.get(response.headers.location ?? '')
    expect(found.body).to.include({ id: response.body.id, reference })
  })

  it('answers 201 to every payment of a transaction whose answer is lost, and stores each once', async () => {
    const references = Array.from({ length: 30 }, newReference)
    api.proxy.loseAnswerTo('with "given"')
    const responses = await Promise.all(references.map((reference) => post(api, bodyWith({ reference }))))
    for (const { status, text } of responses) expect(status, text).to.equal(201)
    expect(new Set(responses.map(({ body }) => body.id))).to.have.property('size', 30)
    expect(api.proxy.lost).to.equal(1)
    expect(await stored(api)).to.deep.equal({ payments: 30, events: 30, messages: 30 })
  })

  for (const [what, text] of [
    ['that a reference is taken', 'with "given"'],
    ['with the payment that has the reference', 'with "logged"'],
  ] as const) {
    // Promise 3
    it(`answers 409 naming the other payment when PostgreSQL's answer ${what} is lost`, async () => {
      const reference = newReference()
      const first = await post(api, bodyWith({ reference }))
      api.proxy.loseAnswerTo(text)
      const response = await post(api, bodyWith({ reference }))
      expectProblem(response, 409, 'duplicate-reference')
      expect(api.proxy.lost).to.equal(1)
      expect(response.body.payment_id).to.equal(first.body.id)
    })

    // Promise 32
    it(`answers 409 naming the differing members when PostgreSQL's answer ${what} is lost`, async () => {
      const reference = newReference()
      const first = await post(api, bodyWith({ reference }))
      api.proxy.loseAnswerTo(text)
      const response = await post(api, bodyWith({ reference, amount: '7' }))
      expectProblem(response, 409, 'reference-mismatch')
      expect(api.proxy.lost).to.equal(1)
      expect(response.body).to.deep.include({ payment_id: first.body.id, mismatch: ['amount'] })
    })
  }
})

import { CHECK_NAMES } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { sql } from 'kysely'
import { expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { finishChecks } from './store-check.ts'
import { createEndpoint, send } from './webhook-requests.ts'

const UNKNOWN_ID = '019a0000-0000-7000-8000-000000000000'

describe('checks of receivers', () => {
  let api: ApiUnderTest
  let path: string
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())
  beforeEach(async () => {
    await api.db.deleteFrom('webhook_checks').execute()
    for (const { id } of (await send(api, 'get', '/webhook-endpoints')).body.data)
      await send(api, 'delete', `/webhook-endpoints/${id}`)
    path = `/webhook-endpoints/${(await createEndpoint(api)).body.id}`
  })

  for (const kind of ['check', 'ping'] as const)
    it(`POST /webhook-endpoints/:id/${kind}: answers 202 with the URL of the report, which is there once it has run`, async () => {
      const started = await send(api, 'post', `${path}/${kind}`)
      expect(started.status, started.text).to.equal(202)
      expect(started.body).to.include({ kind, status: 'pending', finished_at: null, report: null })
      expect(started.headers.location).to.equal(started.body.report_url)
      expect(started.body.report_url).to.equal(`/api/v1${path}/checks/${started.body.id}`)
      expect((await send(api, 'get', started.body.report_url)).body).to.deep.equal(started.body)
      await finishChecks(api)
      const { status, body } = await send(api, 'get', started.body.report_url)
      expect(status).to.equal(200)
      expect(body).to.include({ id: started.body.id, kind, status: 'finished' })
      expect(body.finished_at).to.be.a('string')
      expect(body.report).to.include({ result: 'failed' })
      expect(body.report.cases).to.have.length(kind === 'ping' ? 2 : CHECK_NAMES.length)
      expect(body.report.cases[0]).to.include({ name: 'valid', expected: 'accepted', result: 'failed' })
      expect(body.report.cases[0].detail).to.match(/^No answer: connection refused\./)
      expect(body.report.cases[0].requests).to.have.length(1)
    })

  it('POST /webhook-endpoints/:id/check: a repeated request gets the check that is not finished, and within a minute 429', async () => {
    const first = await send(api, 'post', `${path}/check`)
    // At the same time, as after a lost answer.
    const twins = await Promise.all([1, 2, 3, 4].map(() => send(api, 'post', `${path}/check`)))
    expect(twins.map(({ status, body }) => [status, body.id])).to.deep.equal(twins.map(() => [202, first.body.id]))
    await finishChecks(api)
    const refused = await send(api, 'post', `${path}/check`)
    expectProblem(refused, 429, 'check-limit')
    expect(Number(refused.headers['retry-after'])).to.be.within(1, 60)
    expect((await send(api, 'post', `${path}/ping`)).status, 'a ping has a minute of its own').to.equal(202)
    const other = (await createEndpoint(api)).body.id
    expect((await send(api, 'post', `/webhook-endpoints/${other}/check`)).status).to.equal(202)
    await sql`update webhook_checks set created_at = created_at - interval '1 minute'`.execute(api.db)
    const later = await send(api, 'post', `${path}/check`)
    expect(later.status).to.equal(202)
    expect(later.body.id).to.not.equal(first.body.id)
  })

  it('POST /webhook-endpoints/:id/check: the last 20 reports of an endpoint are kept', async () => {
    const ids: string[] = []
    for (let count = 1; count <= 22; count += 1) {
      ids.push((await send(api, 'post', `${path}/ping`)).body.id)
      await sql`update webhook_checks set created_at = created_at - interval '1 minute', finished_at = now(), report = '{}'`.execute(
        api.db,
      )
    }
    await send(api, 'post', `${path}/check`)
    const kept = await api.db
      .selectFrom('webhook_checks')
      .select('id')
      .where('kind', '=', 'ping')
      .orderBy('id')
      .execute()
    expect(kept.map(({ id }) => id)).to.deep.equal(ids.slice(2))
  })

  it('POST /webhook-endpoints/:id/check: starts one check if many ask at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(api, 'post', `${path}/check`)))
    expect(new Set(answers.map(({ body }) => body.id)).size).to.equal(1)
    expect(await api.db.selectFrom('webhook_checks').select('id').execute()).to.have.length(1)
  })

  it('POST /webhook-endpoints/:id/check: checks a disabled endpoint too, and ignores a body', async () => {
    await send(api, 'patch', path, { enabled: false })
    expect((await send(api, 'post', `${path}/check`)).status).to.equal(202)
    expect((await send(api, 'post', `${path}/ping`, { url: 'https://x.example/' })).status).to.equal(202)
  })

  it('GET /webhook-endpoints/:id/checks/:check: answers 404 for unknown ids, another endpoint and a deleted one', async () => {
    const { body } = await send(api, 'post', `${path}/check`)
    const other = (await createEndpoint(api)).body.id
    for (const unknown of [
      `${path}/checks/${UNKNOWN_ID}`,
      `${path}/checks/x`,
      `/webhook-endpoints/${UNKNOWN_ID}/checks/${body.id}`,
      `/webhook-endpoints/x/checks/${body.id}`,
      `/webhook-endpoints/${other}/checks/${body.id}`,
    ])
      expectProblem(await send(api, 'get', unknown), 404, 'not-found')
    for (const id of [UNKNOWN_ID, 'x'])
      expectProblem(await send(api, 'post', `/webhook-endpoints/${id}/check`), 404, 'not-found')
    await send(api, 'delete', path)
    expectProblem(await send(api, 'get', body.report_url), 404, 'not-found')
    expectProblem(await send(api, 'post', `${path}/check`), 404, 'not-found')
  })
})

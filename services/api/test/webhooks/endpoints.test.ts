import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { expectProblem, pointers } from '../requests.ts'
import { type ApiUnderTest, startApi, WEBHOOKS } from '../start-api.ts'
import { createEndpoint, send, URL_OF_SHOP } from './webhook-requests.ts'

const UNKNOWN = '/webhook-endpoints/019a0000-0000-7000-8000-000000000000'

const stored = (api: ApiUnderTest, id: string) =>
  api.db.selectFrom('webhook_endpoints').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

/** The secrets that sign for an endpoint, the newest first. */
async function secretsOf(api: ApiUnderTest, id: string): Promise<string[]> {
  const row = await stored(api, id)
  const sealed = [{ sealed: row.secret, keyId: row.secret_key_id }]
  if (row.former_secret !== null && row.former_secret_key_id !== null)
    sealed.push({ sealed: row.former_secret, keyId: row.former_secret_key_id })
  return sealed.map((one) => WEBHOOKS.box.open(one, id))
}

describe('webhook endpoints', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())
  afterEach(async () => {
    const { body } = await send(api, 'get', '/webhook-endpoints')
    for (const { id } of body.data) await send(api, 'delete', `/webhook-endpoints/${id}`)
  })

  // Promise 120
  it('POST /webhook-endpoints: answers 201 with the endpoint and its secret, which is stored sealed only', async () => {
    const answer = await createEndpoint(api)
    expect(answer.status, answer.text).to.equal(201)
    const { id, created_at, secret, ...rest } = answer.body
    expect(rest).to.deep.equal({
      url: URL_OF_SHOP,
      description: null,
      types: null,
      ordering: 'payment',
      enabled: true,
      disabled_reason: null,
      disabled_at: null,
      missed_since: null,
      failing_since: null,
      secret_rotates_until: null,
    })
    expect(answer.headers.location).to.equal(`/webhook-endpoints/${id}`)
    expect(Date.parse(created_at)).to.be.closeTo(Date.now(), 60_000)
    expect(secret).to.match(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(await secretsOf(api, id)).to.deep.equal([secret])
    expect((await stored(api, id)).secret.toString('latin1')).to.not.include(secret)
  })

  it('GET /webhook-endpoints: lists endpoints page by page, the oldest first and without their secrets', async () => {
    const created = [await createEndpoint(api, { description: 'one' }), await createEndpoint(api, { types: null })]
    const first = await send(api, 'get', '/webhook-endpoints?limit=1')
    const second = await send(api, 'get', `/api/v1/webhook-endpoints?limit=1&cursor=${first.body.next_cursor}`)
    const shown = created.map(({ body: { secret: _secret, ...endpoint } }) => endpoint)
    expect(first.body)
      .to.include({ has_more: true })
      .and.deep.include({ data: [shown[0]] })
    expect(second.body).to.deep.equal({ data: [shown[1]], has_more: false, next_cursor: null })
    expect((await send(api, 'get', `/webhook-endpoints/${shown[0].id}`)).body).to.deep.equal(shown[0])
  })

  it('POST /webhook-endpoints: names every wrong member', async () => {
    const body = { url: 7, description: 'x'.repeat(256), types: ['payment.x'], ordering: 'fifo', more: 1 }
    expect(pointers(await createEndpoint(api, body))).to.have.members([
      ...['#/url', '#/description', '#/types/0', '#/ordering', '#/more'],
    ])
    expect(pointers(await createEndpoint(api, { types: [] }))).to.deep.equal(['#/types'])
    expect(pointers(await createEndpoint(api, { types: ['payment.failed', 'payment.failed'] }))).to.deep.equal([
      '#/types',
    ])
    expect(pointers(await send(api, 'post', '/webhook-endpoints', {}))).to.deep.equal(['#/url'])
  })

  for (const url of ['https://169.254.169.254/', 'http://0/', 'https://me:secret@hooks.example.com/'])
    it(`POST and PATCH of a webhook endpoint: refuse the URL ${url}, and the answer does not repeat it`, async () => {
      const { body } = await createEndpoint(api)
      for (const answer of [
        await createEndpoint(api, { url }),
        await send(api, 'patch', `/webhook-endpoints/${body.id}`, { url }),
      ]) {
        expectProblem(answer, 400, 'url-refused')
        expect(answer.text).to.not.include('secret').and.not.include(url)
      }
      expect((await send(api, 'get', '/webhook-endpoints')).body.data).to.have.length(1)
    })

  it('POST /webhook-endpoints: refuses http and private networks unless the operator allows them', async () => {
    const strict = await startApi({ webhooks: { ...WEBHOOKS, policy: { allowPrivate: false } } })
    try {
      for (const url of ['http://hooks.example.com/', 'https://10.0.0.1/', 'https://localhost/'])
        expectProblem(await createEndpoint(strict, { url }), 400, 'url-refused')
      expect((await createEndpoint(strict)).status).to.equal(201)
    } finally {
      await strict.stop()
    }
  })

  it('POST /webhook-endpoints: answers 409 to the 17th endpoint of a merchant, until one is deleted', async () => {
    for (let count = 1; count <= 16; count++) expect((await createEndpoint(api)).status).to.equal(201)
    expectProblem(await createEndpoint(api), 409, 'endpoint-limit')
    const { body } = await send(api, 'get', '/webhook-endpoints?limit=1')
    expect((await send(api, 'delete', `/webhook-endpoints/${body.data[0].id}`)).status).to.equal(204)
    expect((await createEndpoint(api)).status).to.equal(201)
  })

  it('PATCH /webhook-endpoints/:id: changes the members that it has, and no others', async () => {
    const { body } = await createEndpoint(api, { description: 'old', types: ['payment.failed'] })
    const { secret: _secret, ...endpoint } = body
    const path = `/webhook-endpoints/${endpoint.id}`
    expect((await send(api, 'patch', path, {})).body).to.deep.equal(endpoint)
    const change = { url: 'https://other.example.com/', types: null, ordering: 'none' }
    expect((await send(api, 'patch', path, change)).body).to.deep.equal({ ...endpoint, ...change })
    expect((await send(api, 'patch', path, { description: null })).body.description).to.equal(null)
    expect(pointers(await send(api, 'patch', path, { enabled: 'yes', secret: 'x' }))).to.have.members([
      '#/enabled',
      '#/secret',
    ])
  })

  it('PATCH /webhook-endpoints/:id: disables an endpoint, keeps since when it misses events, and enables it', async () => {
    const { body } = await createEndpoint(api)
    const path = `/webhook-endpoints/${body.id}`
    const disabled = (await send(api, 'patch', path, { enabled: false })).body
    expect(disabled).to.include({ enabled: false, disabled_reason: 'requested' })
    expect(disabled.disabled_at).to.be.a('string')
    const enabled = (await send(api, 'patch', path, { enabled: true })).body
    expect(enabled).to.include({ enabled: true, disabled_reason: null, disabled_at: null })
    expect(enabled.missed_since).to.be.a('string').and.equal(disabled.missed_since)
  })

  it('DELETE /webhook-endpoints/:id: answers 204, and 404 to a repetition and to every later request', async () => {
    const { body } = await createEndpoint(api)
    const path = `/webhook-endpoints/${body.id}`
    const deleted = await send(api, 'delete', path)
    expect([deleted.status, deleted.text]).to.deep.equal([204, ''])
    for (const answer of [
      await send(api, 'delete', path),
      await send(api, 'get', path),
      await send(api, 'patch', path, { enabled: true }),
      await send(api, 'post', `${path}/rotate-secret`),
      await send(api, 'post', `${path}/replay`),
      await send(api, 'get', UNKNOWN),
      await send(api, 'get', '/webhook-endpoints/x'),
    ])
      expectProblem(answer, 404, 'not-found')
  })

  it('POST /webhook-endpoints/:id/rotate-secret: shows a new secret, and the former one signs as well for the overlap', async () => {
    const { body } = await createEndpoint(api)
    const path = `/webhook-endpoints/${body.id}/rotate-secret`
    const rotated = await send(api, 'post', path)
    expect(rotated.status, rotated.text).to.equal(200)
    expect(await secretsOf(api, body.id)).to.deep.equal([rotated.body.secret, body.secret])
    expect(Date.parse(rotated.body.secret_rotates_until)).to.be.closeTo(Date.now() + 86_400_000, 60_000)
    const without = await send(api, 'post', path, { overlap_s: 0 })
    expect(without.body.secret_rotates_until).to.equal(null)
    expect(await secretsOf(api, body.id)).to.deep.equal([without.body.secret])
  })

  it('POST /webhook-endpoints/:id/rotate-secret: keeps the secret that the receiver knows if the answer of a rotation got lost', async () => {
    const { body } = await createEndpoint(api)
    const path = `/webhook-endpoints/${body.id}/rotate-secret`
    await send(api, 'post', path, { overlap_s: 60 })
    const again = await send(api, 'post', path, { overlap_s: 60 })
    expect(await secretsOf(api, body.id)).to.deep.equal([again.body.secret, body.secret])
  })

  for (const overlap_s of [-1, 604_801, 1.5, '60', null])
    it(`POST /webhook-endpoints/:id/rotate-secret: refuses an overlap of ${JSON.stringify(overlap_s)} seconds`, async () => {
      const { body } = await createEndpoint(api)
      expect(
        pointers(await send(api, 'post', `/webhook-endpoints/${body.id}/rotate-secret`, { overlap_s })),
      ).to.deep.equal(['#/overlap_s'])
    })

  it('webhook endpoints: every route answers 503 without SECRETS_KEY and logs its name once, and payments work', async () => {
    const without = await startApi({ webhooks: null })
    try {
      for (const [method, path] of ROUTES)
        expectProblem(await send(without, method, path, {}), 503, 'webhooks-not-configured')
      const lines = without.logs.filter(({ message }) => message.includes('SECRETS_KEY'))
      expect(lines.map(({ level }) => level)).to.deep.equal(['warn'])
      expect((await send(without, 'get', '/payments')).status).to.equal(200)
    } finally {
      await without.stop()
    }
  })

  it('webhook endpoints: every route answers 403 to a key without the scope webhooks:manage, and 401 without a key', async () => {
    const keyed = await startApi({ auth: AUTH })
    try {
      const { text: key } = await createKey(keyed, { scopes: ['payments:read', 'payments:write'] })
      for (const [method, path] of ROUTES) {
        expectProblem(await send(keyed, method, path, {}, { key }), 403, 'forbidden')
        expectProblem(await send(keyed, method, path, {}), 401, 'unauthenticated')
      }
    } finally {
      await keyed.stop()
    }
  })
})

const EVENT = '/events/evt_019a0000-0000-7000-8000-000000000000_1'
const ROUTES = [
  ['get', '/webhook-endpoints'],
  ['post', '/webhook-endpoints'],
  ['get', UNKNOWN],
  ['patch', UNKNOWN],
  ['delete', UNKNOWN],
  ['post', `${UNKNOWN}/rotate-secret`],
  ['post', `${UNKNOWN}/replay`],
  ['post', `${UNKNOWN}/check`],
  ['post', `${UNKNOWN}/ping`],
  ['get', `${UNKNOWN}/checks/019a0000-0000-7000-8000-000000000000`],
  ['get', '/webhook-deliveries'],
  ['get', `${EVENT}/deliveries`],
  ['post', `${EVENT}/redeliver`],
] as const

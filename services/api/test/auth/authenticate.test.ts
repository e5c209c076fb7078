import { randomBytes } from 'node:crypto'
import { eventually } from '@cashflow/async'
import { parsePeppers } from '@cashflow/db'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { Response } from 'supertest'
import { READS_MAX } from '../../src/limits.ts'
import { bodyWith, expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH, createKey, inventedKey, PEPPER } from './merchant-keys.ts'
import { startPost } from './slow-post.ts'

const ID = '019a0000-0000-7000-8000-000000000000'
const HOUR_MS = 3_600_000
/** Stands before `PEPPER`, as in the middle of a rotation. */
const NEW_PEPPER = 'n'.repeat(32)

describe('api with keys', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: { ...AUTH, peppers: parsePeppers(`${NEW_PEPPER},${PEPPER}`) } })
  })
  after(() => api.stop())

  const read = async (authorization?: string, path = `/payments/${ID}`): Promise<Response> =>
    await api.agent.get(path).set(authorization === undefined ? {} : { Authorization: authorization })

  const write = async (key: string, body = bodyWith()): Promise<Response> =>
    await api.agent
      .post('/payments')
      .set({ 'Content-Type': 'application/json', Authorization: `Bearer ${key}` })
      .send(body)

  it('api with keys accepts a key in force, for the payments of its merchant', async () => {
    const key = await createKey(api, { expiresAt: new Date(Date.now() + HOUR_MS) })
    const created = await write(key.text)
    expect(created.status, created.text).to.equal(201)
    const found = await read(`bEARER  ${key.text}`, `/payments/${created.body.id}`)
    expect([found.status, found.body.id]).to.deep.equal([200, created.body.id])
    const rows = await api.db.selectFrom('payments').select(['id', 'merchant_id']).execute()
    expect(rows).to.deep.equal([{ id: created.body.id, merchant_id: key.merchantId }])
    const lines = api.logs.filter(({ message, key_id }) => message === 'request answered' && key_id !== undefined)
    expect(lines.map(({ key_id }) => key_id)).to.deep.equal([key.id, key.id])
  })

  it('api with keys answers every wrong key with the same 401', async () => {
    const good = await createKey(api)
    const other = await createKey(api)
    const expired = await createKey(api, { expiresAt: new Date(Date.now() - 1) })
    const revoked = await createKey(api, { revokedAt: new Date() })
    const wrong = [
      inventedKey(),
      inventedKey({ sandbox: false }),
      expired.text,
      revoked.text,
      good.text.slice(0, -1),
      `${good.text}x`,
      good.text.replace('cf_test_', 'cf_live_'),
      good.text.replace(good.id, other.id),
      `${good.text}, Bearer ${good.text}`,
      '',
      'x'.repeat(8_000),
    ]
    const answers = new Set<string>()
    for (const [index, key] of wrong.entries()) {
      const response = await read(`Bearer ${key}`)
      expectProblem(response, 401, 'unauthenticated')
      expect(response.headers['www-authenticate'], `wrong key ${index}`).to.equal(
        'Bearer realm="cashflow", error="invalid_token"',
      )
      answers.add(response.text.replace(response.body.request_id, ''))
    }
    for (const none of [undefined, 'Basic YTpi', good.text]) {
      const response = await read(none)
      expectProblem(response, 401, 'unauthenticated')
      expect(response.headers['www-authenticate']).to.equal('Bearer realm="cashflow"')
      answers.add(response.text.replace(response.body.request_id, ''))
    }
    expect(answers.size).to.equal(1)
  })

  it('api with keys refuses a wrong secret also after the right one of the same key', async () => {
    // Both have the same id.
    const id = randomBytes(9)
    const random = (bytes: number) => (bytes === id.length ? id : randomBytes(bytes))
    const { text } = await createKey(api, { random })
    const other = inventedKey({ random })
    expect(other.slice(0, 22)).to.equal(text.slice(0, 22))
    expect((await read(`Bearer ${text}`)).status).to.equal(404)
    expect((await read(`Bearer ${text}`)).status).to.equal(404)
    expectProblem(await read(`Bearer ${other}`), 401, 'unauthenticated')
    expect((await read(`Bearer ${text}`)).status).to.equal(404)
  })

  it('api with keys refuses a well-formed key whose secret is not the one that is stored', async () => {
    const key = await createKey(api)
    await api.db
      .updateTable('api_keys')
      .set({ secret_hash: Buffer.alloc(32) })
      .where('id', '=', key.id)
      .execute()
    expectProblem(await read(`Bearer ${key.text}`), 401, 'unauthenticated')
  })

  it('api with keys accepts a key under any of its peppers, and logs the key whose pepper it lacks', async () => {
    for (const pepper of [NEW_PEPPER, PEPPER]) {
      const key = await createKey(api, { pepper })
      expect((await read(`Bearer ${key.text}`)).status).to.equal(404)
    }
    const lost = await createKey(api, { pepper: 'q'.repeat(32) })
    for (let count = 0; count < 3; count += 1) expectProblem(await read(`Bearer ${lost.text}`), 401, 'unauthenticated')
    const lines = api.logs.filter(({ message }) => message === 'a key is refused: its pepper is not in KEY_PEPPER')
    expect(lines.map(({ level, key_id, refused }) => [level, key_id, refused])).to.deep.equal([['error', lost.id, 1]])
  })

  it('api with keys names the scope that a key lacks', async () => {
    const reader = await createKey(api, { scopes: ['payments:read'] })
    const writer = await createKey(api, { scopes: ['payments:write'] })
    const refused = [await write(reader.text), await read(`Bearer ${writer.text}`)] as const
    for (const [at, scope] of ['payments:write', 'payments:read'].entries()) {
      const response = refused[at] as Response
      expectProblem(response, 403, 'forbidden')
      expect(response.body.detail).to.include(scope)
      expect(response.headers['www-authenticate']).to.equal(
        `Bearer realm="cashflow", error="insufficient_scope", scope="${scope}"`,
      )
    }
    expect((await read(`Bearer ${reader.text}`)).status).to.equal(404)
    expect((await write(writer.text)).status).to.equal(201)
  })

  for (const path of [
    '/nowhere',
    '/payments/%',
    '/payments',
    '/payments/x/y',
    '/api/v1',
    '/docs2',
    '/docs/x',
    '//',
    '/Health',
  ]) {
    it(`api with keys answers 401 before anything else on ${path}`, async () => {
      for (const method of ['get', 'post', 'put', 'delete', 'options', 'head'] as const) {
        const response = await api.agent[method](path)
        expect([method, response.status]).to.deep.equal([method, 401])
      }
    })
  }

  it('api with keys needs none for /, /health, /openapi.json and /docs', async () => {
    expect((await read(undefined, '/health')).status).to.equal(200)
    for (const path of ['/', '/openapi.json', '/docs', '/docs/start.js'])
      expect((await read(undefined, path)).status, path).not.to.equal(401)
  })

  it('api with keys looks a mistyped key up in no database', async () => {
    const key = await createKey(api)
    api.proxy.cut()
    // The last one has the characters of a key, but not its checksum.
    for (const end of ['!', key.text.endsWith('0') ? '1' : '0'])
      expect((await read(`Bearer ${key.text.slice(0, -1)}${end}`)).status).to.equal(401)
    api.proxy.restore()
  })

  it('api with keys stores the last use of a key when it stops', async () => {
    const [used, unused] = [await createKey(api), await createKey(api)]
    await read(`Bearer ${used.text}`)
    await read(`Bearer ${unused.text.slice(0, -1)}`)
    await api.keyUses.stop()
    const rows = await api.db.selectFrom('api_keys').select(['id', 'last_used_at']).execute()
    const at = new Map(rows.map((row) => [row.id, row.last_used_at]))
    expect(at.get(used.id)?.getTime()).to.be.closeTo(Date.now(), 60_000)
    expect(at.get(unused.id)).to.equal(null)
  })

  const SOON_MS = 1_500

  // Promise 67
  it('api with keys stores no payment for a key that is in force no more when the body has arrived', async () => {
    const key = await createKey(api, { expiresAt: new Date(Date.now() + SOON_MS) })
    const { finish, answer } = await startPost(api, key.text)
    await eventually(async () => expect((await read(`Bearer ${key.text}`)).status).to.equal(401))
    finish()
    expect(await answer).to.match(/^HTTP\/1\.1 401 /)
    const rows = await api.db.selectFrom('payments').select('id').where('merchant_id', '=', key.merchantId).execute()
    expect(rows).to.deep.equal([])
  })

  // Promise 67
  it('api with keys reads no payment for a key that is in force no more when its turn comes', async () => {
    const holder = await api.db.startTransaction().execute()
    await sql`lock table payments in access exclusive mode`.execute(holder)
    const other = await createKey(api)
    const running = Array.from({ length: READS_MAX }, () => read(`Bearer ${other.text}`))
    await eventually(() => expect(api.reads.running).to.equal(READS_MAX))
    const { key, waiting } = await eventually(async () => {
      const soon = await createKey(api, { expiresAt: new Date(Date.now() + SOON_MS) })
      const answer = read(`Bearer ${soon.text}`)
      const waits = eventually(() => expect(api.reads.waiting).to.equal(1), { timeoutMs: SOON_MS })
      await Promise.race([answer, waits]) // On a busy machine the key may expire before its request waits.
      await waits
      return { key: soon, waiting: answer }
    })
    await eventually(async () => expect((await read(`Bearer ${key.text}`, '/nowhere')).status).to.equal(401))
    await holder.rollback().execute()
    expect((await waiting).status).to.equal(401)
    for (const { status } of await Promise.all(running)) expect(status).to.equal(404)
  })

  it('api with keys answers an address with over 10 wrong keys a second with 429, but never its right key', async () => {
    const key = await createKey(api)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        n % 6 === 5 ? read(`Bearer ${key.text}`) : read(`Bearer ${inventedKey()}`),
      ),
    )
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((_, n) => n % 6 === 5)).to.deep.equal(Array.from({ length: 10 }, () => 404))
    const limited = answers.find(({ status }) => status === 429) as Response
    expectProblem(limited, 429, 'too-many-wrong-keys')
    expect(limited.body.retryable).to.equal(false)
    expect(limited.headers['retry-after']).to.equal('1')
    expect(new Set(statuses)).to.deep.equal(new Set([401, 404, 429]))
  })
})

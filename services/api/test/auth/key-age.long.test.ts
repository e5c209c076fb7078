import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { bodyWith, expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH, createKey } from './merchant-keys.ts'
import { startPost } from './slow-post.ts'

describe('age of a key in memory', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  // A path without a payment's id: only the key needs a look-up.
  const read = async (authorization: string) => await api.agent.get('/payments/x').set({ Authorization: authorization })

  // Promise 67
  it('refuses a revoked key within 5 s, although its requests never pause', async () => {
    const key = await createKey(api)
    const authorization = `Bearer ${key.text}`
    const until = performance.now() + 4_500
    while (performance.now() < until) expect((await read(authorization)).status).to.equal(404)
    await api.db.updateTable('api_keys').set({ revoked_at: new Date() }).where('id', '=', key.id).execute()
    const revokedAt = performance.now()
    let lastAcceptedAt = revokedAt
    await eventually(
      async () => {
        const sentAt = performance.now()
        const { status } = await read(authorization)
        if (status === 404) lastAcceptedAt = sentAt
        expect(status).to.equal(401)
      },
      { timeoutMs: 10_000 },
    )
    expect(lastAcceptedAt - revokedAt).to.be.lessThan(5_000)
    expect((await read(authorization)).status).to.equal(401)
  }).timeout(30_000)

  // Promise 67
  it('stores no payment of a revoked key whose body ends after the API knows of the revocation', async () => {
    const key = await createKey(api)
    const authorization = `Bearer ${key.text}`
    expect((await read(authorization)).status).to.equal(404)
    const { finish, answer } = await startPost(api, key.text)
    await api.db.updateTable('api_keys').set({ revoked_at: new Date() }).where('id', '=', key.id).execute()
    await eventually(async () => expect((await read(authorization)).status).to.equal(401), { timeoutMs: 10_000 })
    finish()
    expect(await answer).to.match(/^HTTP\/1\.1 401 /)
    expect(await api.db.selectFrom('payments').select('id').execute()).to.deep.equal([])
  }).timeout(30_000)

  // Promise 67
  it('shows no outcome for a key that is revoked while its POST waits, and answers 201 with the payment as created', async () => {
    const key = await createKey(api)
    const authorization = `Bearer ${key.text}`
    const waiting = api.agent
      .post('/payments')
      .set({ Authorization: authorization, Prefer: 'wait=30', 'Content-Type': 'application/json' })
      .send(bodyWith())
      .then((answer) => answer)
    await eventually(() => expect(api.waits.waiting).to.equal(1))
    await api.db.updateTable('api_keys').set({ revoked_at: new Date() }).where('id', '=', key.id).execute()
    await eventually(async () => expect((await read(authorization)).status).to.equal(401), { timeoutMs: 10_000 })
    await api.db
      .updateTable('payments')
      .set({ status: 'SUCCESS', settled_at: new Date(), redrive_at: null })
      .where('merchant_id', '=', key.merchantId)
      .execute()
    const { status, body, headers } = await waiting
    expect([status, body.status]).to.deep.equal([201, 'PENDING'])
    expect(headers).not.to.have.property('preference-applied')
  }).timeout(40_000)

  // Promise 67
  it('goes on with a key for 5 s while PostgreSQL is away, then answers 503, and recovers', async () => {
    const key = await createKey(api)
    const authorization = `Bearer ${key.text}`
    const ask = () => read(authorization)
    expect((await ask()).status).to.equal(404)
    api.proxy.cut()
    const cutAt = performance.now()
    let lastAcceptedAt = cutAt
    let sentAt = cutAt
    let response = await ask()
    while (response.status === 404) {
      lastAcceptedAt = sentAt
      sentAt = performance.now()
      response = await ask()
    }
    expectProblem(response, 503, 'unavailable')
    expect(response.headers).to.have.property('retry-after')
    expect(lastAcceptedAt - cutAt).to.be.within(3_000, 5_000)
    api.proxy.restore()
    await eventually(async () => expect((await ask()).status).to.equal(404), { timeoutMs: 20_000 })
  }).timeout(40_000)
})

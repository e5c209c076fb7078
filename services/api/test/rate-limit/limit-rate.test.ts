import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { bodyWith, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('rate limit of the api', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ rateLimit: 20, trustProxy: [{ address: '127.0.0.1', prefix: 32 }] })
  })
  after(() => api.stop())

  /** Requests of a client of its own, behind a proxy. */
  const get = (client: string, path = '/payments/x') => api.agent.get(path).set('X-Forwarded-For', client)

  async function refused(client: string) {
    const answers = await Promise.all(Array.from({ length: 30 }, () => get(client)))
    return answers.filter(({ status }) => status === 429)
  }

  it('answers 429 with Retry-After, and names the policy that was violated', async () => {
    const [answer] = await refused('203.0.113.1')
    expect(answer?.body).to.include({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      status: 429,
      code: 'quota-exceeded',
      retryable: true,
    })
    expect(answer?.body['violated-policies']).to.deep.equal(['address'])
    expect(answer?.headers).to.include({ 'ratelimit-policy': '"address";q=20;w=1', ratelimit: '"address";r=0;t=1' })
    expect(answer?.headers['retry-after']).to.equal('1')
  })

  it('tells each client what is left, on every answer of a limited route', async () => {
    const paths = ['/payments/x', '/payments', '/nowhere']
    for (const [n, path] of paths.entries()) {
      const { headers } = await get(`203.0.113.${10 + n}`, path)
      expect(headers).to.include({ 'ratelimit-policy': '"address";q=20;w=1', ratelimit: '"address";r=0;t=1' })
    }
    const created = await post(api, bodyWith())
    expect(created.status).to.equal(201)
    expect(created.headers).to.have.property('ratelimit')
  })

  it('learns from PostgreSQL what is left, within a second', async () => {
    await eventually(async () => {
      const { headers } = await get('203.0.113.2')
      expect(headers.ratelimit).to.match(/^"address";r=([5-9]|10);t=1$/)
    })
    const rows = await api.db.selectFrom('rate_limits').select('key').where('key', '=', '203.0.113.2').execute()
    expect(rows).to.have.length(1)
  })

  it('does not limit one client for another, nor /health', async () => {
    expect(await refused('203.0.113.3')).to.not.be.empty
    const other = await get('203.0.113.4')
    expect(other.status).to.equal(404)
    const health = await Promise.all(Array.from({ length: 30 }, () => get('203.0.113.3', '/health')))
    expect(new Set(health.map(({ status }) => status))).to.deep.equal(new Set([200]))
    expect(health[0]?.headers).to.not.have.property('ratelimit')
  })

  it('counts the addresses of one IPv6 network /64 together', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, host) => get(`2001:db8::${host}`)))
    expect(answers.map(({ status }) => status)).to.include(429)
    expect((await get('2001:db8:0:1::1')).status).to.equal(404)
  })

  // Promise 69
  it('limits clients while PostgreSQL is away', async () => {
    api.proxy.cut()
    const answers = await Promise.all(Array.from({ length: 10 }, () => get('203.0.113.5')))
    const statuses = answers.map(({ status }) => status)
    expect(statuses).to.include(404).and.to.include(429)
    await eventually(() =>
      expect(api.logs.map(({ message }) => message)).to.include(
        'rate limits are not shared, each process goes on with its own share',
      ),
    )
    api.proxy.restore()
    await get('203.0.113.5')
    await eventually(async () => {
      await get('203.0.113.5')
      expect(api.logs.map(({ message }) => message)).to.include('rate limits are shared again')
    })
  }).timeout(60_000)

  it('names the policy of an API key in the headers and in the problem, and gives each key of an address its own limit', async () => {
    const withKeys = await startApi({ rateLimit: 20, auth: AUTH })
    const keys = await Promise.all([createKey(withKeys), createKey(withKeys)])
    const [first, second] = keys.map(
      ({ text }) =>
        () =>
          withKeys.agent.get('/payments/x').set('Authorization', `Bearer ${text}`),
    )
    const answers = await Promise.all(Array.from({ length: 30 }, () => first?.()))
    const other = await second?.()
    const stranger = await withKeys.agent.get('/payments/x')
    await withKeys.stop()
    const accepted = answers.find((answer) => answer?.status === 404)
    const refusedAnswer = answers.find((answer) => answer?.status === 429)
    expect(refusedAnswer?.body).to.include({ status: 429, code: 'quota-exceeded' })
    expect(refusedAnswer?.body['violated-policies']).to.deep.equal(['key'])
    expect(refusedAnswer?.body.detail).to.include('20 requests a second with one key')
    for (const answer of [accepted, refusedAnswer, other])
      expect(answer?.headers).to.include({ 'ratelimit-policy': '"key";q=20;w=1', ratelimit: '"key";r=0;t=1' })
    expect(other?.status).to.equal(404)
    expect(stranger.status).to.equal(401)
    expect(stranger.headers).to.not.have.any.keys('ratelimit', 'ratelimit-policy')
  })

  it('sends no header and refuses nothing if no limit is set', async () => {
    const unlimited = await startApi()
    const answers = await Promise.all(Array.from({ length: 50 }, () => unlimited.agent.get('/payments/x')))
    await unlimited.stop()
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([404]))
    expect(answers[0]?.headers).to.not.have.any.keys('ratelimit', 'ratelimit-policy')
  })
})

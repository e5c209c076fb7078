import { documentedSettings, PROVIDER_CHOICES } from '@cashflow/testing'
import { expect } from 'chai'
import { workerConfig, workerEnv } from '../src/config.ts'

describe('settings of the worker', () => {
  it('settings of the worker are those of the tables in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = workerEnv.parse({})
    const own = Object.keys(workerEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('worker')).to.deep.equal(Object.fromEntries(own))
  })

  for (const rate of ['0', '1', '0.7', '.25', '1.0', '0.000001']) {
    it(`accepts PROVIDER_SUCCESS_RATE=${rate}`, () => {
      const { provider } = workerConfig({ PROVIDER_SUCCESS_RATE: rate })
      expect(provider).to.deep.equal({ kind: 'simulated', delayMs: 2_000, successRate: Number(rate) })
    })
  }

  it('chooses the HTTP provider, although PROVIDER_DELAY_MS exceeds PROVIDER_DEADLINE_MS', () => {
    const env = { PROVIDER: 'http', PROVIDER_URL: 'https://pay.internal/charges', PROVIDER_DEADLINE_MS: '1000' }
    const provider = { kind: 'http', url: 'https://pay.internal/charges', ca: undefined }
    expect(workerConfig(env).provider).to.deep.equal({ ...provider, token: undefined })
    expect(workerConfig({ ...env, PROVIDER_TOKEN: 'a.b~c+/==' }).provider).to.deep.equal({
      ...provider,
      token: 'a.b~c+/==',
    })
  })

  it('gives a stop enough time for the longest charge and its settlement', () => {
    expect(workerConfig({}).drainMs).to.equal(15_000)
    expect(workerConfig({ PROVIDER_DEADLINE_MS: '60000' }).drainMs).to.equal(65_000)
  })

  it('compares settings of the worker with each other even if another setting is wrong', () => {
    const refused = () => workerConfig({ LOG_LEVEL: 'loud', PROVIDER_DELAY_MS: '20000' })
    expect(refused).to.throw(/LOG_LEVEL: must be error, warn, info or debug\n {2}PROVIDER_DELAY_MS: must be less than/)
  })

  it('requires PROVIDER_URL with PROVIDER=http', () => {
    expect(() => workerConfig({ PROVIDER: 'http' })).to.throw('PROVIDER_URL')
    expect(() => workerConfig({ PROVIDER: 'http', PROVIDER_PENDING_MAX_MS: '5' })).to.throw('PROVIDER_URL: is needed')
  })

  // Promise 54
  it('worker has no default provider with APP_ENV=production, so that chance settles no real payment', () => {
    const line = (env: Record<string, string>) => {
      try {
        workerConfig({ APP_ENV: 'production', ...env })
      } catch (error) {
        return (error as Error).message.split('\n').slice(1)
      }
      return []
    }
    const missing = ['  PROVIDER: must be http or simulated, and has no default with APP_ENV=production']
    const chance = [
      '  SANDBOX: must be yes with PROVIDER=simulated, which settles payments by chance and moves no money',
    ]
    expect(line({})).to.deep.equal(missing)
    expect(line({ PROVIDERS: 'http', PROVIDER_URL: 'https://pay.internal/' })).to.deep.equal(missing)
    expect(line({ SANDBOX: 'yes' })).to.deep.equal(missing)
    expect(line({ PROVIDER: 'simulated' })).to.deep.equal(chance)
    expect(line({ PROVIDER: 'simulated', SANDBOX: 'no' })).to.deep.equal(chance)
    expect(line({ PROVIDER: 'simulated', SANDBOX: 'true' })).to.deep.equal(['  SANDBOX: must be yes or no'])
    expect(line({ PROVIDER: 'http' })).to.deep.equal(['  PROVIDER_URL: is needed with PROVIDER=http'])
    expect(line({ PROVIDER: 'simulated', SANDBOX: 'yes' })).to.deep.equal([])
    expect(line({ PROVIDER: 'http', PROVIDER_URL: 'https://pay.internal/' })).to.deep.equal([])
  })

  // Promise 54
  it('refuses the simulated provider in production if PROVIDER_URL is set', () => {
    const chance = { APP_ENV: 'production', PROVIDER: 'simulated', SANDBOX: 'yes' }
    const url = { PROVIDER_URL: 'https://pay.internal/' }
    expect(() => workerConfig({ ...chance, ...url })).to.throw('PROVIDER: must be http where PROVIDER_URL is set')
    expect(workerConfig({ ...chance, ...url, APP_ENV: 'staging' }).provider.kind).to.equal('simulated')
  })

  // Promise 54
  it('refuses another spelling of APP_ENV=production', () => {
    for (const APP_ENV of ['prod', 'Production', ' production', '"production"', 'production '])
      expect(() => workerConfig({ APP_ENV }), APP_ENV).to.throw('APP_ENV: must be spelt production')
    expect(workerConfig({ APP_ENV: 'staging' }).provider.kind).to.equal('simulated')
  })

  // Promise 54
  it('worker has no default provider with SANDBOX=no, and refuses the simulated one, also in development', () => {
    expect(() => workerConfig({ SANDBOX: 'no' })).to.throw('PROVIDER: must be http, and has no default with SANDBOX=no')
    expect(() => workerConfig({ SANDBOX: 'no', PROVIDER: 'simulated' })).to.throw('SANDBOX: must be yes with PROVIDER')
  })

  // Promise 54
  for (const { env, provider, problem } of PROVIDER_CHOICES)
    it(`worker reads the provider from ${JSON.stringify(env)} as the api does`, () => {
      const read = () => workerConfig({ ...env, ...(provider === 'http' && { PROVIDER_URL: 'https://pay.internal/' }) })
      if (problem) expect(read).to.throw(problem)
      else expect(read().provider.kind).to.equal(provider)
    })

  it('worker accepts the HTTP provider in a sandbox and outside, with and without APP_ENV=production', () => {
    const http = { PROVIDER: 'http', PROVIDER_URL: 'https://pay.internal/' }
    for (const env of [{}, { APP_ENV: 'production' }])
      for (const [SANDBOX, sandbox] of [
        ['yes', true],
        ['no', false],
      ] as const)
        expect(workerConfig({ ...http, ...env, SANDBOX })).to.deep.include({
          sandbox,
          provider: { kind: 'http', url: http.PROVIDER_URL, token: undefined, ca: undefined },
        })
  })

  for (const [name, value] of [
    ['PROVIDER', 'https'],
    ['SANDBOX', 'true'],
    ['REQUIRE_STANDBY', 'true'],
    ['PROVIDER_URL', 'ftp://pay.internal/charges'],
    ['PROVIDER_URL', 'pay.internal'],
    ['PROVIDER_URL', 'https://user:secret@pay.internal/charges'],
    ['PROVIDER_URL', 'https://pay.internal/charges?a=b'],
    ['PROVIDER_TOKEN', 'two words'],
    ['PROVIDER_TOKEN', 'né'],
    ['PROVIDER_TOKEN', 'line\r\nbreak'],
    ['PROVIDER_TOKEN', 'x'.repeat(4_097)],
    ['PROVIDER_TLS_CA', '/nowhere/ca.pem'],
    ['PROVIDER_CONCURRENCY', '0'],
    ['PROVIDER_CONCURRENCY', '1001'],
    ['PROVIDER_FAILURES_MAX', '0'],
    ['PROVIDER_OPEN_MS', '99'],
    ['PROVIDER_PENDING_MAX_MS', '999'],
    ['PROVIDER_PENDING_MAX_MS', '2592000001'],
    ['PROVIDER_SUCCESS_RATE', '1.1'],
    ['PROVIDER_SUCCESS_RATE', '-0.1'],
    ['PROVIDER_SUCCESS_RATE', 'most'],
    ['PROVIDER_DELAY_MS', '10000'],
    ['WORKER_PREFETCH', '0'],
  ] as const) {
    it(`refuses ${name}=${JSON.stringify(value).slice(0, 60)}`, () => {
      expect(() => workerConfig({ [name]: value })).to.throw(name)
    })
  }
})

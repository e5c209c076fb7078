import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { DELIVERY_SIMULATIONS, SIMULATIONS } from '@cashflow/domain'
import { PUBLIC_SECRETS_KEY } from '@cashflow/runtime'
import { createAuthority, documentedSettings, PROVIDER_CHOICES } from '@cashflow/testing'
import { expect } from 'chai'
import { apiConfig, apiEnv } from '../src/config.ts'

const PEPPER = 'p'.repeat(32)

describe('api settings', () => {
  it('api settings have defaults for a developer’s machine', () => {
    expect(apiConfig({})).to.deep.equal({
      admin: { host: '127.0.0.1', port: 0 },
      databaseUrl: 'postgres://postgres:postgres@localhost:5432/payments',
      sandbox: true,
      standbyRequired: false,
      logLevel: 'info',
      redriveAfterMs: 60_000,
      host: '127.0.0.1',
      port: 8080,
      certificate: undefined,
      queueMax: 1_000,
      rateLimit: 0,
      trustProxy: [],
      simulations: new Set(SIMULATIONS),
      tracing: { url: undefined, headers: {} },
      sampling: { isTrusted: false, sampledShare: 1 },
      auth: { kind: 'none' },
      webhooks: undefined,
      console: undefined,
    })
  })

  it('api settings: CONSOLE_PORT turns the console on, on this machine only unless CONSOLE_HOST says otherwise', () => {
    expect(
      apiConfig({ CONSOLE_PORT: '0', CONSOLE_HOSTS: 'Console.example.com, [FD00::1]', KEY_PEPPER: PEPPER }).console,
    )
      .to.containSubset({ host: '127.0.0.1', port: 0, hosts: ['console.example.com', '[fd00::1]'] })
      .and.to.have.nested.property('peppers[0].value')
    const set = { CONSOLE_PORT: '8090', CONSOLE_HOST: '[::]', CONSOLE_TOKEN: 't'.repeat(32) }
    expect(apiConfig(set).console).to.deep.equal({
      ...{ host: '::', port: 8090, hosts: [], token: 't'.repeat(32), sandboxSocket: undefined, peppers: undefined },
    })
  })

  for (const [name, value] of [
    ['CONSOLE_PORT', '65536'],
    ['CONSOLE_PORT', 'off'],
    ['CONSOLE_HOSTS', 'console.example.com:8090'],
    ['CONSOLE_HOSTS', 'https://console.example.com'],
    ['CONSOLE_HOSTS', 'a,,b'],
    ['CONSOLE_HOSTS', '*'],
    ['CONSOLE_TOKEN', 't'.repeat(31)],
    ['CONSOLE_TOKEN', `${'t'.repeat(31)} t`],
  ] as const)
    it(`api settings: refuses ${name}=${value}, by name`, () => {
      expect(() => apiConfig({ CONSOLE_PORT: '0', [name]: value })).to.throw(new RegExp(`^[^:]*:\n  ${name}: must `))
    })

  it('reads the certificate of the api with its key, and refuses one without the other, by name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-api-config-'))
    try {
      const authority = await createAuthority(folder)
      const [own, other] = [await authority.issue('own'), await authority.issue('other')]
      const read = (cert?: string, key?: string) => () =>
        apiConfig({ ...(cert && { API_TLS_CERT: cert }), ...(key && { API_TLS_KEY: key }) }).certificate
      expect(read(own.cert, own.key)()).to.deep.equal(own)
      expect(read(own.cert)).to.throw('API_TLS_CERT: needs API_TLS_KEY as well')
      expect(read(undefined, own.key)).to.throw('API_TLS_CERT: needs API_TLS_CERT as well')
      expect(read(own.cert, other.key)).to.throw(/API_TLS_CERT: .* is not the private key of/)
      expect(read(`${own.cert}.gone`, own.key)).to.throw(/API_TLS_CERT: the file .* cannot be read: ENOENT/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  for (const [sampler, ratio, sampledShare] of [
    ['always_on', '0.5', 1],
    ['parentbased_always_off', '0.5', 0],
    ['traceidratio', '0.5', 0.5],
    ['parentbased_traceidratio', undefined, 1],
  ] as const)
    it(`api settings: OTEL_TRACES_SAMPLER=${sampler} with the argument ${ratio} traces a share of ${sampledShare}`, () => {
      const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio, TRUST_TRACEPARENT: 'yes' }
      expect(apiConfig(env).sampling).to.deep.equal({ isTrusted: true, sampledShare })
    })

  it('api settings: an unknown sampler is refused in one line that lists those that are known', () => {
    expect(() => apiConfig({ OTEL_TRACES_SAMPLER: 'jaeger_remote' })).to.throw(
      /OTEL_TRACES_SAMPLER: must be one of always_on, parentbased_always_on/,
    )
  })

  it('api settings: SECRETS_KEY seals secrets of endpoints, and private networks are refused unless allowed', () => {
    const env = { SECRETS_KEY: `${'n'.repeat(32)},${'o'.repeat(32)}` }
    const { box, policy } = defined(apiConfig(env).webhooks, 'webhooks')
    expect(box.open(box.seal('whsec_x', 'id'), 'id')).to.equal('whsec_x')
    expect(policy).to.deep.equal({ allowPrivate: false })
    expect(apiConfig({ ...env, WEBHOOK_ALLOW_PRIVATE: 'yes' }).webhooks?.policy).to.deep.equal({ allowPrivate: true })
  })

  it('api settings: WEBHOOK_ALLOW_PRIVATE=yes and the public SECRETS_KEY of docker-compose.yml are refused where money moves', () => {
    const live = { SANDBOX: 'no', PROVIDER: 'http', PROVIDER_URL: 'https://provider.example.com', PROVIDER_TOKEN: 't' }
    expect(() => apiConfig({ ...live, WEBHOOK_ALLOW_PRIVATE: 'yes' })).to.throw(/WEBHOOK_ALLOW_PRIVATE: must be no/)
    expect(() => apiConfig({ ...live, SECRETS_KEY: PUBLIC_SECRETS_KEY })).to.throw(
      /SECRETS_KEY: must be a key of your own/,
    )
  })

  it('api settings match the tables in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = apiEnv.parse({})
    const own = Object.keys(apiEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('api')).to.deep.equal(Object.fromEntries(own))
  })

  it('rejects all invalid api settings together, by name and without their values', () => {
    const env = { PORT: '80a', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://root:secret@localhost' }
    expect(() => apiConfig(env)).to.throw(/LOG_LEVEL/)
    expect(() => apiConfig(env)).to.throw(/DATABASE_URL/)
    expect(() => apiConfig(env)).to.throw(/PORT/)
    expect(() => apiConfig(env)).not.to.throw(/secret/)
  })

  it('rejects missing peppers and AUTH=none in production together with other invalid settings', () => {
    const message = (env: Record<string, string>) => {
      try {
        apiConfig(env)
      } catch (error) {
        return (error as Error).message
      }
      return ''
    }
    expect(message({ LOG_LEVEL: 'loud', AUTH: 'api-key' }))
      .to.match(/LOG_LEVEL: /)
      .and.match(/KEY_PEPPER: is needed/)
    expect(message({ LOG_LEVEL: 'loud', AUTH: 'none', APP_ENV: 'production' }))
      .to.match(/LOG_LEVEL: /)
      .and.match(/AUTH: none needs/)
    const invalid = message({ AUTH: 'None', KEY_PEPPER: 'short' })
    expect(invalid)
      .to.match(/AUTH: must be/)
      .and.match(/KEY_PEPPER: /)
    expect(invalid, 'no rule about a setting that is not valid').not.to.match(/is needed|none needs/)
  })

  for (const [HOST, host] of [
    ['[::1]', '::1'],
    ['::', '::'],
    ['0.0.0.0', '0.0.0.0'],
    ['localhost\n', 'localhost'],
  ] as const) {
    it(`accepts HOST=${JSON.stringify(HOST)} to listen on ${host}`, () => {
      expect(apiConfig({ HOST, KEY_PEPPER: PEPPER }).host).to.equal(host)
    })
  }

  for (const HOST of ['*', '127.0.0.1:8080', '[::1]:8080', 'http://localhost', '"::1"', '[localhost]:1']) {
    it(`rejects ${JSON.stringify(HOST)} as an address to listen on`, () => {
      expect(() => apiConfig({ HOST })).to.throw('HOST: must be an address of this machine')
    })
  }

  it('limits the rate of keys to 100 requests a second by default, and no rate without authentication', () => {
    expect(apiConfig({ AUTH: 'api-key', KEY_PEPPER: 'x'.repeat(32) }).rateLimit).to.equal(100)
    expect(apiConfig({ AUTH: 'none' }).rateLimit).to.equal(0)
  })

  it('reads RATE_LIMIT as a number, or off', () => {
    expect(apiConfig({ RATE_LIMIT: '100000' }).rateLimit).to.equal(100_000)
    for (const RATE_LIMIT of ['0', 'off']) expect(apiConfig({ RATE_LIMIT }).rateLimit).to.equal(0)
    for (const RATE_LIMIT of ['100001', '-1', '0.5', 'no', '1e3'])
      expect(() => apiConfig({ RATE_LIMIT }), RATE_LIMIT).to.throw('RATE_LIMIT: must be')
  })

  it('allows metadata.simulate in a sandbox only, and those that change the outcome with the simulated provider only', () => {
    const allowed = (env: Record<string, string>) => [
      ...(apiConfig({ KEY_PEPPER: PEPPER, ...env }).simulations ?? ['not read']),
    ]
    const production = { APP_ENV: 'production', SANDBOX: 'yes' }
    for (const env of [{}, production]) {
      expect(allowed({ ...env, PROVIDER: 'simulated' })).to.deep.equal(SIMULATIONS)
      expect(allowed({ ...env, PROVIDER: 'http' })).to.deep.equal(DELIVERY_SIMULATIONS)
      expect(allowed({ ...env, PROVIDER: 'http', SANDBOX: 'no' })).to.deep.equal(['not read'])
    }
  })

  // Promise 54
  for (const { env, provider, problem } of PROVIDER_CHOICES)
    it(`api reads the provider from ${JSON.stringify(env)} as the worker does`, () => {
      const read = () => apiConfig({ KEY_PEPPER: PEPPER, ...env })
      if (problem) expect(read).to.throw(problem)
      else expect(read().simulations?.has('decline') ?? false, 'decline').to.equal(provider === 'simulated')
    })

  it('reads TRUST_PROXY as networks', () => {
    expect(apiConfig({ TRUST_PROXY: '10.0.0.0/8, ::1' }).trustProxy).to.deep.equal([
      { address: '10.0.0.0', prefix: 8 },
      { address: '::1', prefix: 128 },
    ])
    expect(() => apiConfig({ TRUST_PROXY: 'loopback' })).to.throw('TRUST_PROXY: must be networks such as 10.0.0.0/8')
  })

  for (const env of [
    {},
    { HOST: 'localhost' },
    { HOST: '::1' },
    { HOST: '127.1.2.3' },
    { HOST: '0.0.0.0', AUTH: 'none' },
  ]) {
    it(`needs no keys with ${JSON.stringify(env)} outside of production`, () => {
      expect(apiConfig(env).auth).to.deep.equal({ kind: 'none' })
    })
  }

  for (const env of [
    { HOST: '0.0.0.0' },
    { HOST: '::' },
    { HOST: 'api' },
    { APP_ENV: 'production', PROVIDER: 'http' },
    { AUTH: 'api-key' },
  ]) {
    it(`needs keys with ${JSON.stringify(env)}, and a pepper for them`, () => {
      expect(() => apiConfig(env)).to.throw('KEY_PEPPER: is needed with AUTH=api-key')
      const { auth } = apiConfig({ ...env, KEY_PEPPER: `${PEPPER},${'q'.repeat(32)}` })
      expect(auth).to.deep.include({ kind: 'api-key' })
      expect(auth.kind === 'api-key' && auth.peppers.map(({ value }) => value.toString())).to.deep.equal([
        PEPPER,
        'q'.repeat(32),
      ])
    })
  }

  it('takes AUTH=none in production only together with ALLOW_UNAUTHENTICATED=yes', () => {
    const env = { APP_ENV: 'production', PROVIDER: 'http', AUTH: 'none' }
    expect(() => apiConfig(env)).to.throw('AUTH: none needs ALLOW_UNAUTHENTICATED=yes')
    expect(() => apiConfig({ ...env, ALLOW_UNAUTHENTICATED: 'no' })).to.throw('AUTH: none needs')
    expect(apiConfig({ ...env, ALLOW_UNAUTHENTICATED: 'yes' }).auth).to.deep.equal({ kind: 'none' })
    expect(() => apiConfig({ AUTH: 'None' })).to.throw('AUTH: must be api-key or none')
  })

  for (const PORT of ['65536', '-1', '1e3', '0x50', '80.5', ' 80']) {
    it(`rejects ${JSON.stringify(PORT)} as a port`, () => {
      expect(() => apiConfig({ PORT })).to.throw(/PORT/)
    })
  }
})

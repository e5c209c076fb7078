import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { apiConfig, apiEnv } from '../src/config.ts'

describe('api settings', () => {
  it('api settings have defaults for a developer’s machine', () => {
    expect(apiConfig({})).to.deep.equal({
      databaseUrl: 'postgres://postgres:postgres@localhost:5432/payments',
      logLevel: 'info',
      redriveAfterMs: 60_000,
      host: '127.0.0.1',
      port: 8080,
      queueMax: 1_000,
    })
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

  for (const [HOST, host] of [
    ['[::1]', '::1'],
    ['::', '::'],
    ['0.0.0.0', '0.0.0.0'],
    ['localhost\n', 'localhost'],
  ] as const) {
    it(`accepts HOST=${JSON.stringify(HOST)} to listen on ${host}`, () => {
      expect(apiConfig({ HOST }).host).to.equal(host)
    })
  }

  for (const HOST of ['*', '127.0.0.1:8080', '[::1]:8080', 'http://localhost', '"::1"', '[localhost]:1']) {
    it(`rejects ${JSON.stringify(HOST)} as an address to listen on`, () => {
      expect(() => apiConfig({ HOST })).to.throw('HOST: must be an address of this machine')
    })
  }

  for (const PORT of ['65536', '-1', '1e3', '0x50', '80.5', ' 80']) {
    it(`rejects ${JSON.stringify(PORT)} as a port`, () => {
      expect(() => apiConfig({ PORT })).to.throw(/PORT/)
    })
  }
})

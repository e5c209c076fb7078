import { createTestDatabase, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from './requests.ts'

describe('api process', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase()
  })
  after(() => database.drop())

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`serves payments until ${signal}, and exits with 0`, async () => {
      const api = startService('api', { DATABASE_URL: database.url, PORT: '0' })
      const { url } = await api.logged('listening')
      const response = await fetch(`${url}/payments`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: bodyWith({ reference: signal }),
      })
      expect(response.status).to.equal(201)
      await response.json()
      api.kill(signal)
      expect(await api.exited).to.equal(0)
      expect(api.output).to.deep.equal([])
    })
  }

  it('waits for PostgreSQL, logs it, and can be stopped while it waits', async () => {
    const url = new URL(database.url)
    url.port = '1'
    const api = startService('api', { DATABASE_URL: url.href, PORT: '0' })
    const line = await api.logged('waiting for PostgreSQL')
    expect(JSON.stringify(line)).not.to.contain(url.password || 'postgres:')
    expect(await api.stop()).to.equal(0)
  })

  it('rejects invalid settings with one message and exit code 1', async () => {
    const api = startService('api', { PORT: 'x', LOG_LEVEL: 'loud' })
    expect(await api.exited).to.equal(1)
    expect(api.output.join('\n'))
      .to.match(/LOG_LEVEL/)
      .and.to.match(/PORT/)
      .and.not.to.match(/ at /)
  })
})

import { createTestDatabase, eventually, query, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'

describe('a process of the webhooks service', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase()
  })
  after(() => database.drop())

  const roles = () => query<{ role: string }>(database.url, 'select role from instances')

  it('a webhooks process is ready with PostgreSQL alone, shows itself among the processes, and stops cleanly', async () => {
    const service = startService('webhooks', { DATABASE_URL: database.url })
    await service.logged('ready', { timeoutMs: 60_000 })
    await eventually(async () => expect(await roles()).to.deep.equal([{ role: 'webhooks' }]))
    expect((await fetch(`${await service.adminUrl()}/readyz`)).status).to.equal(200)
    expect(await service.stop()).to.equal(0)
    expect(await roles()).to.deep.equal([])
  })

  it('a webhooks process without SECRETS_KEY ends with 1 and one line that says what to set', async () => {
    const service = startService('webhooks', { DATABASE_URL: database.url, SECRETS_KEY: '' })
    expect(await service.exited).to.equal(1)
    expect(service.output.join('\n')).to.match(
      /^These settings are not usable:\n {2}SECRETS_KEY: is needed to sign webhooks: .*$/,
    )
  })
})

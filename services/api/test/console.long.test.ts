import { createTestDatabase, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'

const TOKEN = 't'.repeat(32)

describe('api process with a console', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase()
  })
  after(() => database.drop())

  it('api with CONSOLE_PORT serves the console on a listener of its own, and stops with both', async () => {
    const api = startService('api', {
      ...{ DATABASE_URL: database.url, PORT: '0', CONSOLE_PORT: '0', CONSOLE_TOKEN: TOKEN },
    })
    const { url } = await api.logged('console is listening')
    const { url: apiUrl } = await api.logged('listening')
    expect(url)
      .to.match(/^http:\/\/127\.0\.0\.1:\d+$/)
      .and.not.equal(apiUrl)
    // A browser sets this header. A program may set any, but has no cookie or token of an operator.
    const headers = { 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json' }
    const login = (base: unknown) =>
      fetch(`${base}/api/login`, { method: 'POST', headers, body: JSON.stringify({ token: TOKEN }) })
    expect((await login(url)).status).to.equal(200)
    expect((await login(apiUrl)).status).to.equal(404)
    expect((await fetch(`${url}/openapi.json`)).status).to.equal(404)
    expect((await fetch(`${apiUrl}/health`)).status).to.equal(200)
    expect(await api.stop()).to.equal(0)
    expect(JSON.stringify([api.logs, api.output])).to.not.include(TOKEN)
  })

  it('api without CONSOLE_PORT has no console', async () => {
    const api = startService('api', { DATABASE_URL: database.url, PORT: '0', CONSOLE_TOKEN: TOKEN })
    await api.logged('ready')
    expect(api.logs.map(({ message }) => message)).to.not.include('console is listening')
    expect(await api.stop()).to.equal(0)
  })

  it('api refuses a CONSOLE_TOKEN that is too short, and does not print it', async () => {
    const api = startService('api', { CONSOLE_PORT: '0', CONSOLE_TOKEN: 'hunter2' })
    expect(await api.exited).to.equal(1)
    expect(api.output.join('\n')).to.include('CONSOLE_TOKEN: must have 32').and.not.include('hunter2')
  })
})

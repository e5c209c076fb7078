import { defined } from '@cashflow/async'
import type { LogFields } from '@cashflow/runtime'
import { createTestDatabase, eventually, recordingLogger, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase, databaseComponent } from '../../src/index.ts'

describe('database component', () => {
  let database: TestDatabase
  before(async () => {
    database = await createTestDatabase()
  })
  after(() => database.drop())

  /** The first line that a process with this address logs. */
  async function waitsWith(change: (url: URL) => void): Promise<LogFields> {
    const url = new URL(database.url)
    change(url)
    const { logger, lines } = recordingLogger()
    const db = createDatabase({ url: url.href, applicationName: 'test', poolMax: 1, logger })
    const stopping = new AbortController()
    const starting = databaseComponent(db, logger)
      .start(stopping.signal)
      .catch(() => {})
    await eventually(() => expect(lines).to.have.length.above(0))
    stopping.abort()
    await starting
    await db.destroy()
    const { fields, ...line } = defined(lines[0], 'line')
    return { ...line, ...fields }
  }

  for (const [what, change, settings] of [
    ['password', (url) => (url.password = 'wrong'), 'DATABASE_URL, or DB_USER and DB_PASSWORD'],
    ['user', (url) => (url.username = 'nobody_at_all'), 'DATABASE_URL, or DB_USER and DB_PASSWORD'],
    ['database', (url) => (url.pathname = '/nowhere'), 'DATABASE_URL, or DB_NAME'],
  ] as [string, (url: URL) => void, string][]) {
    it(`logs an error that names the settings to check if the ${what} of DATABASE_URL is wrong`, async () => {
      const line = await waitsWith(change)
      expect(line).to.include({ level: 'error', message: 'waiting for PostgreSQL', settings })
      expect(line.reason).to.be.a('string').and.not.contain('wrong')
    })

    it(`logs an error that names the settings to check if the ${what} is wrong and one of several hosts is unavailable`, async () => {
      const line = await waitsWith((url) => {
        change(url)
        url.searchParams.set('host', `127.0.0.1:1,${url.host}`)
      })
      expect(line).to.include({ level: 'error', message: 'waiting for PostgreSQL', settings })
    })
  }

  it('logs a warning while PostgreSQL is unavailable', async () => {
    const line = await waitsWith((url) => {
      url.port = '1'
    })
    expect(line).to.include({ level: 'warn', message: 'waiting for PostgreSQL' })
    expect(line).to.not.have.property('settings')
  })
})

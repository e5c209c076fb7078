import { defined } from '@cashflow/async'
import type { LogFields } from '@cashflow/runtime'
import { createTestDatabase, eventually, query, recordingLogger, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase, databaseComponent } from '../../src/index.ts'
import { claimNothing } from '../../src/worker.ts'

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

  it('db: ends the start with an error that names the tables and the grants if its role may not read them', async () => {
    const role = `stranger_${database.name}`
    await query(database.url, `create role ${role} login password 'x'; grant usage on schema public to ${role}`)
    const { logger, lines } = recordingLogger()
    const url = Object.assign(new URL(database.url), { username: role, password: 'x' }).href
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger })
    const started = await databaseComponent(db, logger)
      .start(new AbortController().signal)
      .catch((error: unknown) => error)
    await db.destroy()
    await query(database.url, `drop owned by ${role}; drop role ${role}`)
    expect(started).to.have.property('code', 'table_unreadable')
    expect(String(started)).to.include('"cashflow_migration"').and.include('"Roles and grants" in docs/operations.md')
    expect(lines).to.deep.equal([])
  })

  it('db: ends the start of a worker whose role lacks a grant of a claim', async () => {
    const role = `worker_${database.name}`
    await query(
      database.url,
      `create role ${role} login password 'x'; grant usage on schema public to ${role};
      grant select on all tables in schema public to ${role}; grant update on payments to ${role}`,
    )
    const { logger } = recordingLogger()
    const url = Object.assign(new URL(database.url), { username: role, password: 'x' }).href
    const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger })
    const starting = () => databaseComponent(db, logger, () => claimNothing(db)).start(new AbortController().signal)
    const refused = await starting().catch(String)
    await query(database.url, `grant insert on payment_attempts to ${role}`)
    await starting()
    await db.destroy()
    await query(database.url, `drop owned by ${role}; drop role ${role}`)
    expect(refused).to.include('permission denied for table payment_attempts').and.include('"Roles and grants"')
  })

  it('logs a warning while PostgreSQL is unavailable', async () => {
    const line = await waitsWith((url) => {
      url.port = '1'
    })
    expect(line).to.include({ level: 'warn', message: 'waiting for PostgreSQL' })
    expect(line).to.not.have.property('settings')
  })
})

import type { Logger } from '@cashflow/runtime'
import {
  createTestDatabase,
  eventually,
  nullLogger,
  query,
  recordingLogger,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createDatabase, databaseComponent, findPayment, isAway, isTransient, type Tables } from '../../src/index.ts'
import { DatabaseSettingError } from '../../src/postgres/errors.ts'
import { newPayment, storePayments } from '../test-store.ts'

const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('session settings', () => {
  let database: TestDatabase
  let opened: Kysely<Tables>[]
  beforeEach(async () => {
    database = await createTestDatabase()
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((db) => db.destroy()))
    await database.drop()
  })

  function open(url = database.url, logger: Logger = nullLogger): Kysely<Tables> {
    const db = createDatabase({ url, applicationName: 'test', poolMax: 2, logger })
    opened.push(db)
    return db
  }

  async function setDefault(...settings: string[]): Promise<void> {
    for (const setting of settings) await administer(`alter database ${database.name} set ${setting}`)
  }
  const administer = (statement: string) => query(database.url, statement)

  async function inForce(db: Kysely<Tables>, ...names: string[]): Promise<Record<string, string>> {
    const { rows } = await sql<{ name: string; setting: string }>`
      select name, setting from pg_settings where name = any(${names})`.execute(db)
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
  }

  // Promise 57
  it('db: sets every setting that it relies on, also where the database has other defaults', async () => {
    await setDefault(
      'statement_timeout = 0',
      'lock_timeout = 0',
      'idle_in_transaction_session_timeout = 0',
      'plan_cache_mode = auto',
      "default_transaction_isolation = 'serializable'",
      'client_min_messages = error',
      'array_nulls = off',
      'extra_float_digits = -15',
      'standard_conforming_strings = off',
    )
    const wanted = {
      statement_timeout: '5000',
      lock_timeout: '2000',
      idle_in_transaction_session_timeout: '10000',
      tcp_user_timeout: '6000',
      plan_cache_mode: 'force_generic_plan',
      enable_seqscan: 'off',
      default_transaction_isolation: 'read committed',
      client_min_messages: 'warning',
      array_nulls: 'on',
      extra_float_digits: '1',
      standard_conforming_strings: 'on',
    }
    expect(await inForce(open(), ...Object.keys(wanted))).to.deep.equal(wanted)
  })

  for (const style of ['German', 'SQL, DMY', 'Postgres, YMD'])
    it(`db: reads times of a database whose DateStyle is ${style}`, async () => {
      await setDefault(`datestyle = '${style}'`)
      const db = open()
      const { payment, event } = newPayment()
      await storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
      expect((await findPayment(db, payment))?.createdAt).to.deep.equal(payment.createdAt)
    })

  // Promise 57
  it('db: keeps its limits and the search_path when parameters of DATABASE_URL differ, and warns about them', async () => {
    await administer('create schema app')
    const options = '-c search_path=app,public -c statement_timeout=0 --enable-seqscan=on -cplan_cache_mode=auto'
    const { logger, lines } = recordingLogger()
    // The last three are options of pg's client and pool.
    const others = { sslmode: 'disable', pipeline: 'true', verify: 'x', log: 'x' }
    const parameters = new URLSearchParams({ options, lock_timeout: '0', query_timeout: '0', ...others })
    const db = open(`${database.url}?${parameters}`, logger)
    expect(
      await inForce(
        db,
        'search_path',
        'statement_timeout',
        'lock_timeout',
        'enable_seqscan',
        'plan_cache_mode',
        'tcp_user_timeout',
      ),
    ).to.deep.equal({
      search_path: 'app,public',
      statement_timeout: '5000',
      lock_timeout: '2000',
      enable_seqscan: 'off',
      plan_cache_mode: 'force_generic_plan',
      tcp_user_timeout: '6000',
    })
    expect(lines.map(({ level, message, fields: { parameters } }) => ({ level, message, parameters }))).to.deep.equal([
      {
        level: 'warn',
        message: 'parameters of DATABASE_URL have no effect, each session sets them itself',
        parameters: ['lock_timeout', 'query_timeout', 'statement_timeout', 'enable_seqscan', 'plan_cache_mode'],
      },
    ])
  })

  // Promise 57
  it('db: refuses to start if synchronous_commit is off, and says what to do', async () => {
    await setDefault('synchronous_commit = off')
    const { logger, lines } = recordingLogger()
    const started = await reasonOf(
      databaseComponent(open(database.url, logger), logger).start(new AbortController().signal),
    )
    expect(started).to.be.instanceOf(DatabaseSettingError)
    expect(String(started)).to.include('synchronous_commit is off').and.include('Set it to on')
    expect(lines).to.deep.equal([])
  })

  // Promise 57
  it('db: refuses to start if the encoding of the database is not UTF8', async () => {
    const name = `${database.name}_latin`
    await administer(`create database ${name} encoding 'LATIN1' locale 'C' template template0`)
    const url = database.url.replace(database.name, name)
    const started = await reasonOf(databaseComponent(open(url), nullLogger).start(new AbortController().signal))
    expect(started).to.be.instanceOf(DatabaseSettingError)
    expect(String(started)).to.include('encoding is LATIN1')
    await administer(`drop database ${name} with (force)`)
  })

  // Promise 57
  it('db: refuses a session whose settings are not in force right after it has set them', async () => {
    await administer('create schema pooler')
    await administer(`create function pooler.current_setting(name text) returns text language sql return
      case name when 'lock_timeout' then '0' else pg_catalog.current_setting(name) end`)
    await setDefault('search_path = pooler, pg_catalog, public')
    const refused = await reasonOf(sql`select 1`.execute(open()))
    expect(refused).to.be.instanceOf(DatabaseSettingError)
    expect(String(refused)).to.include('lock_timeout is 0').and.include('PgBouncer in session mode')
  })

  it('db: warns that a frozen relay keeps its lanes (promise 11) if the server has no tcp_user_timeout', async () => {
    await administer('create schema windows')
    await administer(`create function windows.current_setting(name text, missing_ok boolean) returns text
      language sql return case name when 'tcp_user_timeout' then '0' else pg_catalog.current_setting(name) end`)
    await setDefault('search_path = windows, pg_catalog, public')
    const { logger, lines } = recordingLogger()
    await sql`select 1`.execute(open(database.url, logger))
    expect(lines.map(({ level, fields: { reason, promise } }) => ({ level, reason, promise }))).to.deep.equal([
      { level: 'warn', reason: 'the server has no such limit', promise: 11 },
    ])
  })

  it('db: refuses new sessions while a setting is wrong, logs it once for many, and recovers when it is right', async () => {
    const { logger, lines } = recordingLogger()
    const db = open(database.url, logger)
    await sql`select 1`.execute(db)
    await setDefault('synchronous_commit = off')
    const endSessions = `select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`
    await administer(endSessions)
    await eventually(() => expect(lines.some(({ message }) => message === 'database connection lost')).to.equal(true))
    for (let attempt = 0; attempt < 20; attempt++) {
      const refused = await reasonOf(sql`select 1`.execute(db))
      expect(refused).to.be.instanceOf(DatabaseSettingError)
      expect(isTransient(refused)).to.equal(true)
      expect(isAway(refused)).to.equal(true)
    }
    const refusals = lines.filter(({ message }) => message === 'database session refused')
    expect(refusals).to.have.length(1)
    expect(refusals[0]?.level).to.equal('error')
    expect(refusals[0]?.fields.code).to.equal('database_setting')
    expect(refusals[0]?.fields.reason).to.include('synchronous_commit is off')
    await setDefault('synchronous_commit = on')
    expect((await sql`select 1 as one`.execute(db)).rows).to.deep.equal([{ one: 1 }])
  })
})

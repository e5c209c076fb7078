import {
  createTestDatabase,
  nullLogger,
  openClient,
  type Pgbouncer,
  startPgbouncer,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { createDatabase, type Database, databaseComponent, findPayment, type Tables } from '../../src/index.ts'
import { DatabaseSettingError } from '../../src/postgres/errors.ts'
import { newPayment, storePayments } from '../test-store.ts'

const open = (url: string) => createDatabase({ url, applicationName: 'test', poolMax: 2, logger: nullLogger })
const LIMITS = {
  idle_in_transaction_session_timeout: '10s',
  lock_timeout: '2s',
  plan_cache_mode: 'force_generic_plan',
  statement_timeout: '5s',
  tcp_user_timeout: '6000',
}

async function inForce(db: Kysely<Tables> | pg.Client): Promise<Record<string, string>> {
  const text = `select name, current_setting(name) as value from unnest(array['${Object.keys(LIMITS).join("','")}']) name`
  const { rows } =
    db instanceof pg.Client ? await db.query(text) : await sql.raw<Record<string, string>>(text).execute(db)
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}

describe('database behind PgBouncer', function () {
  this.timeout(300_000) // PgBouncer may have to be downloaded first.
  let database: TestDatabase
  let pgbouncer: Pgbouncer
  let db: Database
  beforeEach(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    await db.destroy()
    await pgbouncer.stop()
    await database.drop()
  })

  // Promise 58
  it('db: has all limits in force through PgBouncer in session mode, which accepts no start-up parameters', async () => {
    pgbouncer = await startPgbouncer(database.url, { poolMode: 'session' })
    db = open(pgbouncer.url)
    await databaseComponent(db, nullLogger).start(new AbortController().signal)
    expect(await inForce(db)).to.deep.equal(LIMITS)
    const { payment, event } = newPayment()
    await storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
    expect(await findPayment(db, payment)).to.include({ id: payment.id, status: 'PENDING' })
  })

  // Promise 58
  it('db: sets its limits on each session through PgBouncer, which resets them for the next client', async () => {
    pgbouncer = await startPgbouncer(database.url, { poolMode: 'session', settings: { default_pool_size: '2' } })
    for (let client = 0; client < 3; client++) {
      db = open(pgbouncer.url)
      expect(await inForce(db)).to.deep.equal(LIMITS)
      await db.destroy()
      await withClients(2, async (other) =>
        expect(await inForce(other)).to.include({ statement_timeout: '0', plan_cache_mode: 'auto' }),
      )
    }
  })

  it('db: receives notifications through PgBouncer in session mode', async () => {
    pgbouncer = await startPgbouncer(database.url, { poolMode: 'session' })
    db = open(pgbouncer.url)
    const listener = await db.openSession('listener')
    const notified = new Promise((resolve) => listener.on('notification', ({ channel }) => resolve(channel)))
    await listener.query('listen news')
    await sql`select pg_notify('news', '')`.execute(db)
    expect(await notified).to.equal('news')
    await listener.end()
  })

  for (const [poolMode, servers, server_round_robin] of [
    ['transaction', 1, '0'],
    ['transaction', 3, '0'],
    ['transaction', 2, '1'],
    ['transaction', 3, '1'],
    ['transaction', 9, '1'],
    ['statement', 3, '1'],
  ] as const)
    it(`db: refuses to start through PgBouncer in ${poolMode} mode with ${servers} servers (round robin: ${server_round_robin}), and changes no setting there`, async () => {
      pgbouncer = await startPgbouncer(database.url, { poolMode, settings: { server_round_robin } })
      db = open(pgbouncer.url)
      await withClients(servers, (client) => client.query('select pg_sleep(0.2)'))
      const started = await databaseComponent(db, nullLogger)
        .start(new AbortController().signal)
        .catch((error: unknown) => error)
      expect(started).to.be.instanceOf(DatabaseSettingError)
      expect(String(started)).to.include('pool_mode = session')
      await withClients(1, async (client) => {
        for (let turn = 0; turn < servers; turn++)
          expect(await inForce(client)).to.include({ statement_timeout: '0', plan_cache_mode: 'auto' })
      })
    })

  /** Uses several clients at the same time, so that each needs a server session of its own. */
  async function withClients(count: number, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
    const clients = await Promise.all(Array.from({ length: count }, () => openClient(pgbouncer.url)))
    await Promise.all(clients.map(use))
    await Promise.all(clients.map((client) => client.end()))
  }
})

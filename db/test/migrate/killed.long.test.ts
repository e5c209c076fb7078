import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { eventually, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createFormerDatabase, type FormerDatabase, open } from './former-database.ts'

describe('migrate', () => {
  let database: FormerDatabase
  beforeEach(async () => {
    database = await createFormerDatabase()
  })
  afterEach(() => database.drop())

  const start = (...options: string[]) =>
    spawn(process.execPath, [join(REPOSITORY, 'db/src/migrate-main.ts'), ...options], {
      env: { DATABASE_URL: database.url, APP_ENV: 'production' },
      stdio: 'ignore',
    })
  const ended = async (child: ChildProcess) =>
    (child.exitCode ?? child.signalCode ?? (await once(child, 'exit'))[0]) as number

  /** Starts a run, and holds it while it creates its first index. */
  async function startHeld() {
    const holder = open(database.url, 1)
    const transaction = await holder.startTransaction().setIsolationLevel('repeatable read').execute()
    await sql`select 1 from payments`.execute(transaction)
    const child = start()
    const pid = await eventually(async () => {
      const { rows } = await sql<{ pid: number }>`
        select pid from pg_stat_activity where datname = current_database() and wait_event = 'virtualxid'`.execute(
        database.db,
      )
      expect(rows).to.have.length(1)
      return defined(rows[0], 'session of the run').pid
    })
    const release = async () => {
      await transaction.rollback().execute()
      await holder.destroy()
    }
    return { child, pid, release }
  }

  async function expectMigrated() {
    const { rows } = await sql`
      select relname as index, indisvalid as valid from pg_index join pg_class c on c.oid = indexrelid
      where relname in ('payments_reference_bytes', 'payments_merchant_id_reference_key')`.execute(database.db)
    expect(rows).to.deep.equal([{ index: 'payments_reference_bytes', valid: true }])
    const applied = await sql`select 1 from cashflow_migration where applied_at is null`.execute(database.db)
    expect(applied.rows).to.deep.equal([])
  }

  // Promise 62
  it('resumes a run that was killed while it created an index, once PostgreSQL has ended its statement', async () => {
    const { child, release } = await startHeld()
    child.kill('SIGKILL')
    await ended(child)
    const next = start()
    await release()
    expect(await ended(next)).to.equal(0)
    await expectMigrated()
  })

  it('resumes a killed run whose session PostgreSQL has ended, and creates its invalid index again', async () => {
    const { child, pid, release } = await startHeld()
    child.kill('SIGKILL')
    await ended(child)
    await sql`select pg_terminate_backend(${pid})`.execute(database.db)
    await eventually(async () => {
      const { rows } = await sql`
        select 1 from pg_index where indexrelid = to_regclass('payments_reference_bytes') and not indisvalid`.execute(
        database.db,
      )
      expect(rows).to.have.length(1)
    })
    await release()
    expect(await ended(start())).to.equal(0)
    await expectMigrated()
  })

  it('keeps the mode of a deployment if it is killed while it changes the mode, and changes it when it runs again', async () => {
    expect(await ended(start())).to.equal(0)
    const stored = async () =>
      (await database.db.selectFrom('deployment').select('mode').execute()).map(({ mode }) => mode)
    expect(await stored()).to.deep.equal(['live'])

    const holder = open(database.url, 1)
    const reader = await holder.startTransaction().execute()
    await reader.selectFrom('deployment').select('mode').execute()
    const killed = start('--mode', 'sandbox')
    const waiting = (count: number) =>
      eventually(async () => {
        const { rows } = await sql`
          select 1 from pg_locks where not granted and relation = 'deployment'::regclass`.execute(database.db)
        expect(rows).to.have.length(count)
      })
    await waiting(1)
    killed.kill('SIGKILL')
    await ended(killed)
    await reader.commit().execute()
    await holder.destroy()
    await waiting(0)
    expect(await stored()).to.deep.equal(['live'])
    expect(await ended(start('--mode', 'sandbox'))).to.equal(0)
    expect(await stored()).to.deep.equal(['sandbox'])
  })

  it('continues when PostgreSQL ends its session while it creates an index', async () => {
    const { child, pid, release } = await startHeld()
    await sql`select pg_terminate_backend(${pid})`.execute(database.db)
    await release()
    expect(await ended(child)).to.equal(0)
    await expectMigrated()
  })
})

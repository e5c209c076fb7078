import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
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
import { createDatabase, databaseComponent, serviceSession, type Tables } from '../../src/index.ts'
import { ModeError } from '../../src/migrate/deployment.ts'
import { DatabaseSettingError } from '../../src/postgres/errors.ts'
import { createFormerDatabase, type FormerDatabase, migrateAll, migrateUpTo, open } from './former-database.ts'

const INSERT = `
  insert into payments (id, merchant_id, reference, amount_minor, currency, status)
  values ('${randomUUID()}', '${DEFAULT_MERCHANT_ID}', 'r', 100, 'USD', 'PENDING')`
const SETTLE = `update payments set status = 'SUCCESS', settled_at = now()`

const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error as Error)

describe('mode of a deployment', () => {
  let database: TestDatabase
  let migrator: Kysely<Tables>
  let opened: Kysely<Tables>[]
  beforeEach(async () => {
    database = await createTestDatabase()
    migrator = open(database.url)
    opened = []
  })
  afterEach(async () => {
    await Promise.all([migrator, ...opened].map((db) => db.destroy()))
    await database.drop()
  })

  const run = (statement: string) => query(database.url, statement)
  const stored = async () => (await run('select mode, length(cursor_secret) as secret from deployment')) as object[]
  const change = (mode: 'sandbox' | 'live') => migrateAll(migrator, { wanted: { mode, from: '--mode' } })
  const refused = async (work: Promise<unknown>) => {
    const error = await reasonOf(work)
    expect(error).to.be.instanceOf(ModeError)
    return error?.message
  }
  function service(sandbox: boolean, logger = nullLogger): Kysely<Tables> {
    const applicationName = serviceSession('api')
    const db = createDatabase({ url: database.url, applicationName, poolMax: 2, sandbox, logger })
    opened.push(db)
    return db
  }
  const use = (db: Kysely<Tables>) => db.selectFrom('deployment').select('mode').executeTakeFirstOrThrow()

  it('is stored once, with a secret of 32 bytes, however many runs of migrate start at the same time', async () => {
    const secret = 'select cursor_secret from deployment'
    const before = await run(secret)
    await run('delete from deployment')
    await Promise.all([1, 2, 3].map(() => migrateAll(migrator)))
    expect(await stored()).to.deep.equal([{ mode: 'sandbox', secret: 32 }])
    const after = await run(secret)
    expect(after).to.not.deep.equal(before)
    await migrateAll(migrator)
    expect(await run(secret)).to.deep.equal(after)
    await expect(await reasonOf(run(`insert into deployment values ('live', sha256(''))`))).to.match(/has_one_row/)
  })

  it('is that of the first of two runs of migrate that differ, and the other run fails', async () => {
    await run('delete from deployment')
    const results = await Promise.allSettled(
      (['sandbox', 'live'] as const).map((mode) => migrateAll(migrator, { wanted: { mode, from: 'SANDBOX' } })),
    )
    expect(results.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected'])
    const won = results[0]?.status === 'fulfilled' ? 'sandbox' : 'live'
    expect(await stored()).to.deep.equal([{ mode: won, secret: 32 }])
  })

  it('is kept by a run of migrate whose SANDBOX differs, which names both values', async () => {
    expect(await refused(migrateAll(migrator, { wanted: { mode: 'live', from: 'SANDBOX' } })))
      .to.include('has SANDBOX=no')
      .and.include('a sandbox (SANDBOX=yes)')
    await refused(migrateAll(migrator, { wanted: { mode: 'live', from: 'default' } }))
    expect(await stored()).to.deep.equal([{ mode: 'sandbox', secret: 32 }])
  })

  it('is not changed while a payment is PENDING, and is changed when all are settled', async () => {
    await run(INSERT)
    await run('update payments set parked_at = now()')
    expect(await refused(change('live'))).to.include('some payments are PENDING')
    expect(await stored()).to.deep.equal([{ mode: 'sandbox', secret: 32 }])
    await run(SETTLE)
    await change('live')
    await change('live') // As after a kill: there is nothing left to do.
    expect(await stored()).to.deep.equal([{ mode: 'live', secret: 32 }])
    await change('sandbox')
    expect(await stored()).to.deep.equal([{ mode: 'sandbox', secret: 32 }])
    const acts = 'select via, action, before, after from operator_actions order by id'
    expect((await run(acts)).map((act) => ({ ...act, via: String(act.via).split(' ')[0] }))).to.deep.equal([
      { via: 'migrate', action: 'migrate --mode', before: { mode: 'sandbox' }, after: { mode: 'live' } },
      { via: 'migrate', action: 'migrate --mode', before: { mode: 'live' }, after: { mode: 'sandbox' } },
    ])
  })

  for (const [end, expected] of [
    ['commit', 'sandbox'],
    ['rollback', 'live'],
  ] as const)
    it(`waits for the ${end} of a payment that is being inserted before it is changed`, async () => {
      const writer = open(database.url, 1)
      opened.push(writer)
      const tx = await writer.startTransaction().execute()
      await sqlOf(tx, INSERT)
      const changing = reasonOf(change('live'))
      await eventually(async () =>
        expect(await run(`select from pg_locks where not granted and relation = 'payments'::regclass`)).to.have.length(
          1,
        ),
      )
      await tx[end]().execute()
      expect((await changing) instanceof ModeError).to.equal(end === 'commit')
      expect(await stored()).to.deep.equal([{ mode: expected, secret: 32 }])
    })

  it('is not changed while a service or a command of the operator is connected', async () => {
    for (const applicationName of [serviceSession('worker'), 'cashflow-api', 'cashflow-operator']) {
      const db = createDatabase({ url: database.url, applicationName, poolMax: 1, logger: nullLogger })
      await use(db)
      expect(await refused(change('live'))).to.include(applicationName)
      await db.destroy()
      await eventually(async () =>
        expect(
          await run(
            `select from pg_stat_activity where datname = current_database() and application_name ~ '^cashflow-(?!mig)'`,
          ),
        ).to.have.length(0),
      )
    }
    await change('live')
  })

  it('is not changed when a service connects while the change waits for its lock', async () => {
    const reader = await open(database.url, 1).startTransaction().execute()
    await use(reader)
    const changing = reasonOf(change('live'))
    const waiting = (count: number) =>
      eventually(async () =>
        expect(
          await run(`select from pg_locks where not granted and relation = 'deployment'::regclass`),
        ).to.have.length(count),
      )
    await waiting(1)
    const using = use(service(true))
    await waiting(2)
    await reader.commit().execute()
    expect((await changing)?.message).to.include('cashflow-api')
    expect(await using).to.deep.equal({ mode: 'sandbox' })
  })

  it('is read by a session that opens while it is changed only when it has been changed', async () => {
    const changing = await open(database.url, 1).startTransaction().execute()
    await sqlOf(changing, 'lock table deployment in access exclusive mode')
    await sqlOf(changing, `update deployment set mode = 'live'`)
    const using = reasonOf(use(service(true)))
    await eventually(async () =>
      expect(await run(`select from pg_locks where not granted and relation = 'deployment'::regclass`)).to.have.length(
        1,
      ),
    )
    await changing.commit().execute()
    expect((await using)?.message).to.include('the database is live (SANDBOX=no)')
  })

  // Promise 75
  it('is compared by each session: a service that had none when it was changed gets none afterwards', async () => {
    const { logger, linesOf } = recordingLogger()
    const db = service(true, logger)
    await databaseComponent(db, logger).start(new AbortController().signal)
    await run(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name ~ '^cashflow-api'`,
    )
    await eventually(() => change('live'))
    const error = await eventually(async () => {
      const reason = await reasonOf(use(db))
      expect(reason).to.be.instanceOf(DatabaseSettingError)
      return reason
    })
    expect(error?.message).to.include('SANDBOX=yes').and.include('SANDBOX=no')
    expect(linesOf('database session refused')[0]?.fields).to.include({ reason: error?.message })
    await eventually(() => change('sandbox'))
    await eventually(async () => expect(await use(db)).to.deep.equal({ mode: 'sandbox' }))
  })

  it('has to be stored before a service starts', async () => {
    await run('delete from deployment')
    const start = () => reasonOf(databaseComponent(service(true), nullLogger).start(new AbortController().signal))
    expect((await start())?.message)
      .to.include('table "deployment" is empty')
      .and.include('npm run migrate')
    await run('drop table deployment')
    expect((await start())?.message)
      .to.include('lacks migration')
      .and.include('npm run migrate')
  })
})

describe('first mode of a database that holds payments', () => {
  let database: FormerDatabase
  beforeEach(async () => {
    database = await createFormerDatabase()
    await query(database.url, INSERT)
  })
  afterEach(() => database.drop())

  const tables = () => query(database.url, `select tablename from pg_tables where schemaname = 'public' order by 1`)

  it('is not a default: the run of migrate changes nothing, and names what to set', async () => {
    const before = await tables()
    const wanted = { mode: 'sandbox', from: 'default' } as const
    const error = await reasonOf(migrateAll(database.db, { wanted }))
    expect(error).to.be.instanceOf(ModeError)
    expect(error?.message).to.include('SANDBOX=no').and.include('SANDBOX=yes').and.include('Nothing was changed')
    expect(await tables()).to.deep.equal(before)
  })

  it('is not a default where all payments were pruned', async () => {
    await migrateUpTo(database.db, '0007_pruned_references')
    await query(database.url, SETTLE)
    await query(
      database.url,
      `insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
       select merchant_id, reference, id, amount_minor, currency from payments`,
    )
    await query(database.url, 'delete from payments')
    const error = await reasonOf(migrateAll(database.db, { wanted: { mode: 'sandbox', from: 'default' } }))
    expect(error).to.be.instanceOf(ModeError)
    expect(await query(database.url, `select to_regclass('deployment') as created`)).to.deep.equal([{ created: null }])
  })

  for (const from of ['SANDBOX', '--mode'] as const)
    it(`is what ${from} says, although payments are PENDING`, async () => {
      await migrateAll(database.db, { wanted: { mode: 'live', from } })
      expect(await query(database.url, 'select mode from deployment')).to.deep.equal([{ mode: 'live' }])
    })
})

const sqlOf = async (db: Kysely<Tables>, statement: string) => void (await sql.raw(statement).execute(db))

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../../src/index.ts'
import { createDatabase } from '../../src/index.ts'
import { serviceSession } from '../../src/migrate/schema.ts'
import {
  createEmptyDatabase,
  createFormerDatabase,
  FORMER,
  type FormerDatabase,
  logger,
  migrateAll,
  migrationNames,
  open,
} from './former-database.ts'

describe('migrate', () => {
  let database: FormerDatabase
  let folder: string
  beforeEach(async () => {
    database = await createEmptyDatabase()
    folder = await mkdtemp(join(tmpdir(), 'migrations-'))
    await write('0001_things', 'create table things (id int, name text);\ninsert into things values (1, null);\n')
  })
  afterEach(async () => {
    await database.drop()
    await rm(folder, { recursive: true })
  })

  const write = (name: string, text: string) => writeFile(join(folder, `${name}.sql`), text)
  const run = async (statement: string, db: Kysely<Tables> = database.db) => (await sql.raw(statement).execute(db)).rows
  const apply = async (options: Parameters<typeof migrateAll>[1] = {}, db = database.db) =>
    (await migrateAll(db, { folder, ...options })).applied
  const indexes = () =>
    run(`select relname as name, indisvalid as valid from pg_index join pg_class c on c.oid = indexrelid
      where indrelid = 'things'::regclass order by 1`)

  /** Opens a transaction that keeps its snapshot and the locks of `statement`. Returns how to commit it. */
  async function hold(statement: string) {
    const holder = open(database.url, 1)
    const transaction = await holder.startTransaction().setIsolationLevel('repeatable read').execute()
    await run(statement, transaction)
    return async () => {
      await transaction.commit().execute()
      await holder.destroy()
    }
  }
  const waitsFor = (event: string) =>
    eventually(async () => {
      const waiting = await run(`
        select 1 from pg_stat_activity where datname = current_database() and application_name = 'cashflow-migrate'
        and wait_event_type = 'Lock' and wait_event = '${event}'`)
      expect(waiting).to.have.length.of.at.least(1)
    })

  it('runs each file in its own transaction: files before a failed one stay applied', async () => {
    await write('0002_broken', 'create table more (id int);\nselect 1 / 0;\n')
    await write('0003_never', 'create table never (id int);\n')
    const error = await apply().catch((error: unknown) => error)
    expect(error).to.include({ code: '22012' })
    expect(
      await run("select to_regclass('things')::text as t, to_regclass('more') as m, to_regclass('never') as n"),
    ).to.eql([{ t: 'things', m: null, n: null }])
    await write('0002_broken', 'create table more (id int);\n')
    expect(await apply()).to.deep.equal(['0002_broken', '0003_never'])
  })

  it('resumes steps where the last run failed, and repeats no statement', async () => {
    await apply()
    await write(
      '0002_steps',
      "-- steps\ninsert into things values (2, null);\nalter table things add check (name <> '');\nselect 1 / 0;\n",
    )
    for (const _ of [1, 2]) expect(await apply().catch((error: unknown) => error)).to.include({ code: '22012' })
    await write(
      '0002_steps',
      "-- steps\ninsert into things values (2, null);\nalter table things add check (name <> '');\nselect 1;\n",
    )
    expect(await apply()).to.deep.equal(['0002_steps'])
    expect(await run('select count(*)::int as count from things')).to.deep.equal([{ count: 2 }])
  })

  it('creates an invalid index again that a killed run left behind', async () => {
    await apply()
    await run('insert into things values (1, null)')
    await run('create unique index concurrently things_id on things (id)').catch(() => {})
    await run('delete from things where ctid > (select min(ctid) from things)')
    expect(await indexes()).to.deep.equal([{ name: 'things_id', valid: false }])
    await write('0002_index', '-- steps\ncreate unique index concurrently if not exists things_id on things (id);\n')
    await apply()
    expect(await indexes()).to.deep.equal([{ name: 'things_id', valid: true }])
  })

  it('drops the invalid index that duplicates leave behind, which would slow down every insert', async () => {
    await write('0002_index', '-- steps\ncreate unique index concurrently if not exists things_id on things (id);\n')
    await write(
      '0001_things',
      'create table things (id int, name text);\ninsert into things values (1, null), (1, null);\n',
    )
    expect(await apply().catch((error: unknown) => error)).to.include({ code: '23505' })
    expect(await indexes()).to.deep.equal([])
  })

  it('runs each step once for two runs, while an index of the first run waits for a snapshot', async () => {
    await apply()
    await write(
      '0002_index',
      '-- steps\ncreate index concurrently if not exists things_id on things (id);\ninsert into things values (2, null);\n',
    )
    const release = await hold('select 1 from things')
    const first = apply()
    await waitsFor('virtualxid')
    const second = open(database.url)
    const other = apply({}, second)
    // The second run polls for the lock, and holds no snapshot for which the first one would wait.
    await eventually(async () =>
      expect(
        await run(`select 1 from pg_stat_activity where datname = current_database() and state = 'idle'
          and query like 'select pg_try_advisory_lock%'`),
      ).to.have.length.of.at.least(1),
    )
    await release()
    expect((await Promise.all([first, other])).flat()).to.deep.equal(['0002_index'])
    await second.destroy()
    expect(await run('select count(*)::int as count from things')).to.deep.equal([{ count: 2 }])
    expect(await indexes()).to.deep.equal([{ name: 'things_id', valid: true }])
  })

  it('stops at a signal while it creates an index, which the next run creates', async () => {
    await apply()
    await write('0002_index', '-- steps\ncreate index concurrently if not exists things_id on things (id);\n')
    const release = await hold('select 1 from things')
    const stopping = new AbortController()
    const stopped = apply({ signal: stopping.signal }).catch((error: unknown) => error)
    await waitsFor('virtualxid')
    stopping.abort()
    expect(await stopped).to.include({ code: '57014' })
    await release()
    await apply()
    expect(await indexes()).to.deep.equal([{ name: 'things_id', valid: true }])
  })

  it('restores the timeouts of its session after creating an index', async () => {
    await write('0002_index', '-- steps\ncreate index concurrently if not exists things_id on things (id);\n')
    const single = open(database.url, 2)
    await apply({}, single)
    const limits = await run("select current_setting('lock_timeout') as lock", single)
    expect(limits).to.deep.equal([{ lock: '2s' }])
    await single.destroy()
  })

  it('leaves a migration that removes something until no service of an earlier version is connected', async () => {
    await write('0007_drop', '-- steps after 0007\nalter table things drop column name;\n')
    await write('0008_more', 'create table more (id int);\n')
    const connect = (applicationName: string) =>
      createDatabase({ url: database.url, applicationName, poolMax: 1, logger })
    const [former, present] = [connect('cashflow-api'), connect(serviceSession('api'))]
    for (const service of [former, present]) await run('select 1', service)
    expect(await migrateAll(database.db, { folder })).to.deep.equal({
      applied: ['0001_things', '0008_more'],
      left: [{ migration: '0007_drop', services: ['cashflow-api'] }],
    })
    await former.destroy()
    await eventually(async () => expect(await apply()).to.deep.equal(['0007_drop']))
    await present.destroy()
  })
})

describe('migrate', () => {
  it('keeps the indexes that services of the version before use until they have disconnected', async () => {
    const database = await createFormerDatabase()
    const api = createDatabase({ url: database.url, applicationName: 'cashflow-api', poolMax: 1, logger })
    await sql`
      insert into payments (id, merchant_id, reference, amount_minor, currency, status, settled_at)
      select gen_random_uuid(), m.id, n::text, 1, 'USD', 'SUCCESS', now() from merchants m, generate_series(1, 2000) n`.execute(
      api,
    )
    await sql`analyze payments`.execute(api)
    const later = ['0009_drop_former_indexes', '0015_drop_request_hash', '0021_event_hashes']
    expect(await migrateAll(database.db)).to.deep.equal({
      applied: (await migrationNames(FORMER)).filter((name) => !later.includes(name)),
      left: later.map((migration) => ({ migration, services: ['cashflow-api'] })),
    })
    const plan = async (condition: string) => {
      const { rows } = await sql`
        explain select id from payments p where merchant_id = ${'00000000-0000-7000-8000-000000000001'}
        and ${sql.raw(condition)}`.execute(api)
      return JSON.stringify(rows)
    }
    expect(await plan("reference = 'r'"))
      .to.include('payments_merchant_id_reference_key')
      .and.include('reference = ')
    expect(await plan(`reference = 'r' collate "C"`))
      .to.include('payments_reference_bytes')
      .and.include('reference = ')
    await api.destroy()
    await eventually(async () => expect((await migrateAll(database.db)).applied).to.deep.equal(later))
    const { rows } = await sql`
      select conname from pg_constraint where conname = 'payments_merchant_id_reference_key'`.execute(database.db)
    expect(rows).to.deep.equal([])
    await database.drop()
  })
})

import { expect } from 'chai'
import { sql } from 'kysely'
import { NoSchemaError } from '../../src/migrate/ledger.ts'
import { ensureSchema, SchemaError } from '../../src/migrate/schema.ts'
import {
  createEmptyDatabase,
  createFormerDatabase,
  FORMER,
  type FormerDatabase,
  migrateAll,
  migrateFormer,
  migrateUpTo,
  migrationNames,
  open,
} from './former-database.ts'

describe('migrate', () => {
  let database: FormerDatabase
  afterEach(() => database.drop())

  const run = async (statement: string) => (await sql.raw(statement).execute(database.db)).rows
  const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)
  /** Sets the search_path of new sessions, and opens a pool of them. */
  async function searchPath(path: string) {
    await run(`alter database ${database.name} set search_path = ${path}`)
    return open(database.url)
  }
  const FOREIGN = `
    create table kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null);
    insert into kysely_migration values ('2024_01_users', '2024-01-01T00:00:00.000Z');
    create table users (id int)`

  it('copies the record of an earlier version once, and keeps it for services of that version', async () => {
    database = await createFormerDatabase()
    const former = await run('select * from kysely_migration order by name')
    const { applied } = await migrateAll(database.db)
    expect(applied).to.deep.equal(await migrationNames(FORMER))
    expect(await run('select * from kysely_migration order by name')).to.deep.equal(former)
    const [first] = await run('select applied_at from cashflow_migration order by name')
    expect(first).to.deep.equal({ applied_at: new Date((former[0] as { timestamp: string }).timestamp) })
    await run("delete from kysely_migration where name > '0001'")
    expect((await migrateAll(database.db)).applied).to.deep.equal([])
  })

  it('copies records that the migrator of an earlier version adds after cashflow_migration was created', async () => {
    database = await createEmptyDatabase()
    await migrateUpTo(database.db, '0000') // Creates cashflow_migration without any row.
    await migrateFormer(database.db)
    const { applied } = await migrateAll(database.db)
    expect(applied).to.deep.equal(await migrationNames(FORMER))
    expect(await run('select name from cashflow_migration')).to.have.length((await migrationNames()).length)
  })

  it('ignores the kysely_migration of another application in the same schema', async () => {
    database = await createEmptyDatabase()
    await run(FOREIGN)
    const { applied } = await migrateAll(database.db)
    expect(applied).to.include('0001_payments')
    expect(await run('select name from kysely_migration')).to.deep.equal([{ name: '2024_01_users' }])
    await ensureSchema(database.db)
  })

  it('ignores a kysely_migration with names like ours if our tables are missing', async () => {
    database = await createEmptyDatabase()
    await run(FOREIGN)
    await run("update kysely_migration set name = '0001_payments'")
    expect((await migrateAll(database.db)).applied).to.include('0001_payments')
  })

  it('keeps its record in the schema that search_path names, although another schema has a kysely_migration', async () => {
    database = await createEmptyDatabase()
    await run(FOREIGN)
    await run('create schema cashflow')
    const db = await searchPath('cashflow')
    expect(await reasonOf(ensureSchema(db))).to.be.instanceOf(SchemaError)
    await migrateAll(db)
    await ensureSchema(db)
    expect(
      await run(`
        select schemaname as schema, tablename as name from pg_tables
        where tablename in ('cashflow_migration', 'payments', 'kysely_migration') order by 2`),
    ).to.deep.equal([
      { schema: 'cashflow', name: 'cashflow_migration' },
      { schema: 'public', name: 'kysely_migration' },
      { schema: 'cashflow', name: 'payments' },
    ])
    expect((await migrateAll(db)).applied).to.deep.equal([])
    await db.destroy()
  })

  it('needs no right to read the kysely_migration of another application', async () => {
    database = await createEmptyDatabase()
    await run(`create role ${database.name} login password 'p'; create schema own authorization ${database.name}`)
    await run(FOREIGN)
    const url = new URL(database.url)
    url.username = database.name
    url.password = 'p'
    await run(`alter role ${database.name} set search_path = own, public`)
    const db = open(url.href)
    expect((await migrateAll(db)).applied).to.include('0001_payments')
    await ensureSchema(db)
    await db.destroy()
    await run(`drop schema own cascade; drop role ${database.name}`)
  })

  it('fails if search_path names no schema that exists, and names search_path in the error', async () => {
    database = await createEmptyDatabase()
    const db = await searchPath('cashflow')
    const error = await reasonOf(migrateAll(db))
    expect(error).to.be.instanceOf(NoSchemaError)
    expect((error as Error).message).to.include('search_path (cashflow)')
    await db.destroy()
  })
})

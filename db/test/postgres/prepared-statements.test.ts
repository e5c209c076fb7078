import { createTestDatabase, nullLogger, query } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, isTransient } from '../../src/index.ts'

const open = (url: string) => createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('session with prepared statements', () => {
  it('db: prepares a statement with parameters once, with a plan that stays good as the table grows', async () => {
    const database = await createTestDatabase()
    const db = open(database.url)
    await sql`create table things (id int primary key, name text)`.execute(db)
    const find = (ids: number[]) =>
      sql`select t.name from unnest(${ids}::int[]) as given (id) join things t using (id)`.execute(db)
    for (let i = 0; i < 10; i++) expect((await find([1, i])).rows).to.deep.equal([])
    const { rows } = await sql<{ statement: string; generic: boolean }>`
      select statement, generic_plans > 0 as generic from pg_prepared_statements`.execute(db)
    expect(rows).to.have.length(1)
    expect(rows[0]).to.deep.include({ generic: true }).and.have.property('statement').that.includes('from unnest($1')

    await query(database.url, 'insert into things select n, n::text from generate_series(1, 200000) n')
    expect((await find([7])).rows).to.deep.equal([{ name: '7' }])
    // The plan is the one of the empty table. It has not become a scan of the whole table.
    const { rows: scans } = await sql`
      select pg_stat_force_next_flush(), seq_tup_read::int as read from pg_stat_user_tables where relname = 'things'`.execute(
      db,
    )
    expect(scans[0]).to.include({ read: 0 })
    await db.destroy()
    await database.drop()
  })

  it('db: recovers after a migration that gives a prepared statement other columns', async () => {
    const database = await createTestDatabase()
    const db = open(database.url)
    const find = () => sql`select * from outbox_lanes where lane = ${1}`.execute(db)
    expect((await find()).rows).to.deep.equal([{ lane: 1 }])
    await sql`alter table outbox_lanes add column name text`.execute(db)
    const stale = await reasonOf(find())
    expect(isTransient(stale)).to.equal(true)
    expect((await find()).rows).to.deep.equal([{ lane: 1, name: null }])
    await db.destroy()
    await database.drop()
  })
})

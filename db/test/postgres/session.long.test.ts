import {
  createTestDatabase,
  eventually,
  nullLogger,
  type PrivatePostgres,
  query as queryOn,
  startPrivatePostgres,
  startTcpProxy,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createDatabase, isPermanent, isTransient, onlyStatement, type Tables } from '../../src/index.ts'
import { ReadOnlyError } from '../../src/postgres/errors.ts'

const open = (url: string, statementMs?: number) =>
  createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger, ...(statementMs && { statementMs }) })
const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('session', () => {
  it('db: closes a session after a query that was not answered in time, and never uses its connection again', async () => {
    const database = await createTestDatabase()
    const proxy = await startTcpProxy(database.url)
    const db = open(proxy.url, 50)
    const session = async () => (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]?.pid
    try {
      const first = await session()
      proxy.holdAnswers()
      const late = await reasonOf(sql`select 'late'`.execute(db))
      expect(late).to.be.an('error').with.property('message', 'Query read timeout')
      expect(isTransient(late)).to.equal(true)
      proxy.restore()
      expect(await session())
        .to.be.a('number')
        .that.does.not.equal(first)
    } finally {
      await db.destroy()
      await proxy.stop()
      await database.drop()
    }
  })

  it('db: closes a session after a transaction in one trip that was not answered in time', async () => {
    const database = await createTestDatabase()
    await queryOn(database.url, 'create table things (id int primary key)')
    const proxy = await startTcpProxy(database.url)
    const db = open(proxy.url, 50)
    const write = (id: number) =>
      db.transaction().execute((tx) => sql`insert into things values (${id})`.execute(onlyStatement(tx)))
    const sessions = () => queryOn(database.url, "select pid from pg_stat_activity where application_name = 'test'")
    try {
      await write(1)
      const [first] = await sessions()
      proxy.holdAnswers()
      const late = await reasonOf(write(2))
      expect(late).to.be.an('error').with.property('message', 'Query read timeout')
      expect(isTransient(late)).to.equal(true)
      proxy.restore()
      await write(3)
      expect(await queryOn(database.url, 'select id from things')).to.deep.equal([{ id: 1 }, { id: 2 }, { id: 3 }])
      await eventually(async () =>
        expect(await sessions())
          .to.have.length(1)
          .and.not.deep.include(first),
      )
    } finally {
      await db.destroy()
      await proxy.stop()
      await database.drop()
    }
  })

  it('db: does not count a COMMIT as in doubt because of an unrelated warning', async () => {
    const database = await createTestDatabase()
    const db = open(database.url)
    const { rows } = await sql`select 1 as one from (values (1)) v where pg_temp.warn() = 1`.execute(await warning(db))
    expect(rows).to.deep.equal([{ one: 1 }])
    await db.destroy()
    await database.drop()
  })

  // Promise 20
  it('db: throws an error that is not permanent when a session cannot be opened', async () => {
    const database = await createTestDatabase()
    const db = open(`${database.url}?sslmode=verify-full`)
    const refused = await reasonOf(sql`select 1`.execute(db))
    expect(refused).to.be.an('error').with.property('message').that.equals('PostgreSQL does not offer TLS')
    expect(isPermanent(refused)).to.equal(false)
    await db.destroy()
    await database.drop()
  })
})

/** Adds a function that raises a warning with 01000, the code of every warning that has none of its own. */
async function warning(db: Kysely<Tables>): Promise<Kysely<Tables>> {
  await sql`create function pg_temp.warn() returns int language plpgsql as
    $$ begin raise warning 'not about a standby'; return 1; end $$`.execute(db)
  return db
}

describe('session with a standby', () => {
  let server: PrivatePostgres
  before(async () => {
    server = await startPrivatePostgres()
    const [folder] = await query('show data_directory')
    await query(`copy (select) to '${folder?.data_directory}/standby.signal'`)
    await server.crash()
    await server.start()
  }).timeout(180_000)
  after(() => server.stop())

  const query = (text: string) => queryOn(server.url, text)

  // Promise 6
  it('db: refuses a standby with a transient error, leaves no session open, and uses the server once it is promoted', async () => {
    const db = open(server.url)
    const ask = () => sql`select 1 as one`.execute(db)
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = await reasonOf(ask())
      expect(refused).to.be.instanceOf(ReadOnlyError)
      expect(isTransient(refused)).to.equal(true)
    }
    await eventually(async () =>
      expect(await query("select pid from pg_stat_activity where application_name = 'test'")).to.deep.equal([]),
    )
    await query('select pg_promote()')
    expect((await ask()).rows).to.deep.equal([{ one: 1 }])
    await db.destroy()
  }).timeout(180_000)
})

import { createLogger } from '@cashflow/runtime'
import {
  createTestDatabase,
  eventually,
  query,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { AbortedTransactionError, type Kysely, sql, type Transaction } from 'kysely'
import { createDatabase, isTransient, lastStatement, type Tables } from '../../src/index.ts'

const logger = createLogger({ service: 'test', level: 'error' })
const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: Error & { code?: string }) => error,
  )

describe('one-trip driver', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  /** One session, by way of the proxy. */
  let db: Kysely<Tables>
  beforeEach(async () => {
    database = await createTestDatabase()
    await query(database.url, 'create table things (id int primary key)')
    proxy = await startTcpProxy(database.url)
    db = createDatabase({ url: proxy.url, applicationName: 'one-trip', poolMax: 1, logger })
    await sql`select 'the session is open'`.execute(db)
  })
  afterEach(async () => {
    proxy.restore()
    await db.destroy()
    await proxy.stop()
    await database.drop()
  })

  const insert = (tx: Kysely<Tables>, id: unknown) => sql`insert into things (id) values (${id})`.execute(tx)
  const insertLast = (tx: Transaction<Tables>, id: unknown) => insert(lastStatement(tx), id)
  const stored = async () => (await query(database.url, 'select id from things order by id')).map(({ id }) => id)
  const expectStored = (...ids: number[]) => eventually(async () => expect(await stored()).to.deep.equal(ids))
  const sessions = () =>
    query(database.url, "select pid, state, query from pg_stat_activity where application_name = 'one-trip'")
  /** The session is the one that `sessions` showed, and in no transaction. */
  async function expectClean(pid: number): Promise<void> {
    const { rows } = await sql<{ pid: number; alone: boolean }>`
      select pg_backend_pid() as pid, now() = statement_timestamp() as alone`.execute(db)
    expect(rows).to.deep.equal([{ pid, alone: true }])
  }
  const pidOf = async () => (await sessions())[0]?.pid as number

  it('commits a transaction of one marked statement before any answer arrives', async () => {
    proxy.holdAnswers()
    const transaction = db.transaction().execute((tx) => insertLast(tx, 1))
    await expectStored(1)
    proxy.restore()
    expect((await transaction).numAffectedRows).to.equal(1n)
  })

  it('sends BEGIN together with the first statement', async () => {
    proxy.holdAnswers()
    const transaction = db.transaction().execute(async (tx) => {
      await insert(tx, 1)
      await insertLast(tx, 2)
    })
    await eventually(async () => {
      const [session] = await sessions()
      expect(session).to.include({ state: 'idle in transaction' }).and.have.property('query').that.includes('things')
    })
    expect(await stored()).to.deep.equal([])
    proxy.restore()
    await transaction
    expect(await stored()).to.deep.equal([1, 2])
  })

  it('keeps read committed where the database has another default', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await query(database.url, `alter database "${name}" set default_transaction_isolation = 'serializable'`)
    const fresh = createDatabase({ url: database.url, applicationName: 'fresh', poolMax: 1, logger })
    const isolation = async (tx: Kysely<Tables>) =>
      (await sql<{ level: string }>`select current_setting('transaction_isolation') as level`.execute(tx)).rows[0]
        ?.level
    expect(await fresh.transaction().execute((tx) => isolation(tx))).to.equal('read committed')
    expect(await fresh.transaction().execute((tx) => isolation(lastStatement(tx)))).to.equal('read committed')
    const serializable = fresh.transaction().setIsolationLevel('serializable').setAccessMode('read only')
    expect(await serializable.execute((tx) => isolation(tx))).to.equal('serializable')
    await fresh.destroy()
  })

  it('prepares a marked statement once', async () => {
    for (const id of [1, 2, 3]) await db.transaction().execute((tx) => insertLast(tx, id))
    const { rows } = await sql`
      select generic_plans::int as plans from pg_prepared_statements where statement like 'insert%'`.execute(db)
    expect(rows).to.deep.equal([{ plans: 3 }])
  })

  describe('when a statement fails', () => {
    it('throws the error of a marked statement, stores nothing and leaves a clean session', async () => {
      const pid = await pidOf()
      await insert(db, 2)
      const error = await errorOf(
        db.transaction().execute(async (tx) => {
          await insert(tx, 1)
          await insertLast(tx, 2)
        }),
      )
      expect(error?.code).to.equal('23505')
      expect(await stored()).to.deep.equal([2])
      await expectClean(pid)
      await db.transaction().execute((tx) => insertLast(tx, 3))
      expect(await stored()).to.deep.equal([2, 3])
    })

    it('throws the error of a first statement, stores nothing and leaves a clean session', async () => {
      const pid = await pidOf()
      await insert(db, 1)
      expect((await errorOf(db.transaction().execute((tx) => insert(tx, 1))))?.code).to.equal('23505')
      await expectClean(pid)
    })

    it('throws the error of a statement that PostgreSQL cannot parse, each time', async () => {
      const broken = () => db.transaction().execute((tx) => sql`select ${1} from nowhere`.execute(lastStatement(tx)))
      for (let time = 0; time < 2; time++) expect((await errorOf(broken()))?.code).to.equal('42P01')
    })

    it('does not commit for a caller that goes on after the error', async () => {
      await insert(db, 1)
      for (const write of [insert, insertLast]) {
        const error = await errorOf(
          db.transaction().execute(async (tx) => {
            await insert(tx, 2)
            await errorOf(write(tx, 1))
          }),
        )
        expect(error).to.be.instanceOf(AbortedTransactionError)
        expect(await stored()).to.deep.equal([1])
      }
    })

    it('does not commit a transaction whose last statement has a parameter that pg cannot write', async () => {
      const circular: Record<string, unknown> = {}
      circular.self = circular
      const error = await errorOf(
        db.transaction().execute(async (tx) => {
          await insert(tx, 1)
          await insertLast(tx, circular)
        }),
      )
      expect(error?.message).to.include('circular')
      await db.transaction().execute((tx) => insertLast(tx, 2))
      expect(await stored()).to.deep.equal([2])
    })
  })

  describe('when an answer is lost', () => {
    it('throws a transient error for a transaction that has committed, so that it is in doubt', async () => {
      proxy.holdAnswers()
      const transaction = errorOf(db.transaction().execute((tx) => insertLast(tx, 1)))
      await expectStored(1)
      proxy.reset()
      expect(isTransient(await transaction)).to.equal(true)
      proxy.restore()
      await db.transaction().execute((tx) => insertLast(tx, 2))
      expect(await stored()).to.deep.equal([1, 2])
    })

    it('throws a transient error for a COMMIT whose answer alone is lost', async () => {
      proxy.loseAnswerTo('commit')
      const transaction = errorOf(db.transaction().execute((tx) => insert(tx, 1)))
      expect(isTransient(await transaction)).to.equal(true)
      await expectStored(1)
    })

    it('throws a transient error for a statement that its session did not survive, and stores nothing', async () => {
      const holder = createDatabase({ url: database.url, applicationName: 'holder', poolMax: 1, logger })
      const other = await holder.startTransaction().execute()
      await insert(other, 1)
      const transaction = errorOf(db.transaction().execute((tx) => insertLast(tx, 1)))
      const waiting = await eventually(async () => {
        const [session] = await query(
          database.url,
          "select pid from pg_stat_activity where application_name = 'one-trip' and wait_event_type = 'Lock'",
        )
        return session?.pid ?? expect.fail('no session waits')
      })
      await query(database.url, `select pg_terminate_backend(${waiting}, 2000)`)
      expect(isTransient(await transaction)).to.equal(true)
      await other.rollback().execute()
      await holder.destroy()
      expect(await stored()).to.deep.equal([])
    })
  })

  describe('when BEGIN fails', () => {
    // PostgreSQL has no such isolation level, so it refuses BEGIN and executes the statement behind it.
    const transaction = () => db.transaction().setIsolationLevel('snapshot')

    it('throws the error of BEGIN, with and without a marked statement', async () => {
      const pid = await pidOf()
      expect((await errorOf(transaction().execute((tx) => insert(tx, 1))))?.code).to.equal('42601')
      expect((await errorOf(transaction().execute((tx) => insertLast(tx, 2))))?.code).to.equal('42601')
      await expectClean(pid)
    })

    it('sends no other statement, and no COMMIT', async () => {
      const codes: unknown[] = []
      const error = await errorOf(
        transaction().execute(async (tx) => {
          for (const id of [1, 2]) codes.push((await errorOf(insert(tx, id)))?.code)
        }),
      )
      expect([...codes, error?.code]).to.deep.equal(['42601', '42601', '42601'])
      expect(await stored()).to.not.include(2)
    })

    it('throws a transient error when the server has ended the session, and leaves no rejection unhandled', async () => {
      const unhandled: unknown[] = []
      const onUnhandled = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', onUnhandled)
      const [session] = await sessions()
      const error = await errorOf(
        db.transaction().execute(async (tx) => {
          await query(database.url, `select pg_terminate_backend(${session?.pid}, 2000)`)
          await insertLast(tx, 1)
        }),
      )
      expect(isTransient(error), error?.message).to.equal(true)
      await db.transaction().execute((tx) => insertLast(tx, 2))
      expect(await stored()).to.deep.equal([2])
      process.off('unhandledRejection', onUnhandled)
      expect(unhandled).to.deep.equal([])
    })
  })

  it('sends nothing for a transaction without a statement, whether it commits or rolls back', async () => {
    await db.transaction().execute(async () => {})
    const thrown = new Error('before any statement')
    const rollingBack = db.transaction().execute(async () => {
      throw thrown
    })
    expect(await errorOf(rollingBack)).to.equal(thrown)
    const [session] = await sessions()
    expect(session).to.include({ state: 'idle', query: "select 'the session is open'" })
  })

  it('rolls back what a caller wrote before its own error', async () => {
    const pid = await pidOf()
    const thrown = new Error('after a statement')
    const rollingBack = db.transaction().execute(async (tx) => {
      await insert(tx, 1)
      throw thrown
    })
    expect(await errorOf(rollingBack)).to.equal(thrown)
    await expectClean(pid)
    expect(await stored()).to.deep.equal([])
  })

  it('reports the transaction as committed to a caller that fails after its last statement', async () => {
    const pid = await pidOf()
    const failing = db.transaction().execute(async (tx) => {
      await insertLast(tx, 1)
      throw new Error('too late')
    })
    expect((await errorOf(failing))?.message).to.include('which has committed')
    expect(await stored()).to.deep.equal([1])
    await expectClean(pid)
  })

  it('refuses a statement after the last one', async () => {
    const pid = await pidOf()
    const failing = db.transaction().execute(async (tx) => {
      await insertLast(tx, 1)
      await errorOf(insert(tx, 2)).then((error) => expect(error?.message).to.include('after the last one'))
    })
    expect(await errorOf(failing)).to.equal(undefined)
    await expectClean(pid)
    expect(await stored()).to.deep.equal([1])
  })

  it('begins a transaction with a savepoint, and rolls back to it', async () => {
    const tx = await db.startTransaction().execute()
    const saved = await tx.savepoint('before').execute()
    await insert(saved, 1)
    await saved.rollbackToSavepoint('before').execute()
    await insertLast(tx, 2)
    await tx.commit().execute()
    expect(await stored()).to.deep.equal([2])
  })

  it('runs transactions one after another on a session that its caller keeps', async () => {
    await db.connection().execute(async (session) => {
      for (const id of [1, 2]) await session.transaction().execute((tx) => insertLast(tx, id))
      await insert(session, 3)
      await session.transaction().execute((tx) => insert(tx, 4))
    })
    expect(await stored()).to.deep.equal([1, 2, 3, 4])
  })
})

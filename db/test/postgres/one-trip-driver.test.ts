import { eventually, query } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { onlyStatement, type Tables } from '../../src/index.ts'
import { createOneTripRig, errorOf, type OneTripRig, open } from './one-trip-rig.ts'

const NOT_ALONE = 'marked by onlyStatement has to be the only one of its transaction, and be awaited in it'

describe('one-trip driver', () => {
  let rig: OneTripRig
  beforeEach(async () => {
    rig = await createOneTripRig()
  })
  afterEach(() => rig.stop())

  it('commits a transaction of one marked statement before any answer arrives', async () => {
    rig.proxy.holdAnswers()
    const transaction = rig.db.transaction().execute((tx) => rig.insertOnly(tx, 1))
    await rig.expectStored(1)
    rig.proxy.restore()
    expect((await transaction).numAffectedRows).to.equal(1n)
  })

  it('sends BEGIN together with a first statement that writes', async () => {
    rig.proxy.holdAnswers()
    const transaction = rig.db.transaction().execute(async (tx) => {
      await rig.insert(tx, 1)
      await rig.insert(tx, 2)
    })
    await eventually(async () => {
      const [session] = await rig.sessions()
      expect(session).to.include({ state: 'idle in transaction' }).and.have.property('query').that.includes('insert')
    })
    rig.proxy.restore()
    await transaction
    expect(await rig.stored()).to.deep.equal([1, 2])
  })

  it('refuses a marked statement that is not the only one, and stores nothing', async () => {
    const pid = await rig.pid()
    const failing = rig.db.transaction().execute(async (tx) => {
      await rig.insert(tx, 1)
      await rig.insertOnly(tx, 2)
    })
    expect((await errorOf(failing))?.message).to.include(NOT_ALONE)
    expect(await rig.stored()).to.deep.equal([])
    await rig.expectClean(pid)
  })

  it('refuses a marked statement in a transaction that has settings', async () => {
    const failing = rig.db
      .transaction()
      .setIsolationLevel('serializable')
      .execute((tx) => rig.insertOnly(tx, 1))
    expect((await errorOf(failing))?.message).to.include('bug: without BEGIN, a transaction has no settings')
    expect(await rig.stored()).to.deep.equal([])
  })

  it('executes a first statement of several commands', async () => {
    await rig.db.transaction().execute(async (tx) => {
      await sql.raw('insert into things values (1); insert into things values (2)').execute(tx)
      await rig.insert(tx, 3)
    })
    expect(await rig.stored()).to.deep.equal([1, 2, 3])
  })

  it('executes a marked statement of several commands as one transaction', async () => {
    const both = (...ids: number[]) => sql.raw(ids.map((id) => `insert into things values (${id})`).join(';'))
    await rig.db.transaction().execute((tx) => both(1, 2).execute(onlyStatement(tx)))
    const failing = rig.db.transaction().execute((tx) => both(3, 1).execute(onlyStatement(tx)))
    expect((await errorOf(failing))?.code).to.equal('23505')
    expect(await rig.stored()).to.deep.equal([1, 2])
  })

  it('keeps read committed where the database has another default', async () => {
    const name = new URL(rig.databaseUrl).pathname.slice(1)
    await query(rig.databaseUrl, `alter database "${name}" set default_transaction_isolation = 'serializable'`)
    const fresh = open(rig.databaseUrl, 'fresh')
    const isolation = async (tx: Kysely<Tables>) =>
      (await sql<{ level: string }>`select current_setting('transaction_isolation') as level`.execute(tx)).rows[0]
        ?.level
    expect(await fresh.transaction().execute((tx) => isolation(tx))).to.equal('read committed')
    expect(await fresh.transaction().execute((tx) => isolation(onlyStatement(tx)))).to.equal('read committed')
    const serializable = fresh.transaction().setIsolationLevel('serializable').setAccessMode('read only')
    expect(await serializable.execute((tx) => isolation(tx))).to.equal('serializable')
    await fresh.destroy()
  })

  it('prepares a marked statement once', async () => {
    for (const id of [1, 2, 3]) await rig.db.transaction().execute((tx) => rig.insertOnly(tx, id))
    const { rows } = await sql`
      select generic_plans::int as plans from pg_prepared_statements where statement like 'insert%'`.execute(rig.db)
    expect(rows).to.deep.equal([{ plans: 3 }])
  })

  it('sends nothing for a transaction without a statement, whether it commits or rolls back', async () => {
    await rig.db.transaction().execute(async () => {})
    const thrown = new Error('before any statement')
    const rollingBack = rig.db.transaction().execute(async () => {
      throw thrown
    })
    expect(await errorOf(rollingBack)).to.equal(thrown)
    const [session] = await rig.sessions()
    expect(session).to.include({ state: 'idle', query: "select 'the session is open'" })
  })

  it('rolls back what a caller wrote before its own error', async () => {
    const pid = await rig.pid()
    const thrown = new Error('after a statement')
    const rollingBack = rig.db.transaction().execute(async (tx) => {
      await rig.insert(tx, 1)
      throw thrown
    })
    expect(await errorOf(rollingBack)).to.equal(thrown)
    await rig.expectClean(pid)
    expect(await rig.stored()).to.deep.equal([])
  })

  it('reports the transaction as committed to a caller that fails after its only statement', async () => {
    const pid = await rig.pid()
    const failing = rig.db.transaction().execute(async (tx) => {
      await rig.insertOnly(tx, 1)
      throw new Error('too late')
    })
    expect((await errorOf(failing))?.message).to.include('which has committed')
    expect(await rig.stored()).to.deep.equal([1])
    await rig.expectClean(pid)
  })

  it('refuses a statement after the only one', async () => {
    const pid = await rig.pid()
    const failing = rig.db.transaction().execute(async (tx) => {
      await rig.insertOnly(tx, 1)
      await errorOf(rig.insert(tx, 2)).then((error) => expect(error?.message).to.include(NOT_ALONE))
    })
    expect(await errorOf(failing)).to.equal(undefined)
    await rig.expectClean(pid)
    expect(await rig.stored()).to.deep.equal([1])
  })

  it('tells the caller that did not await its only statement, and names the place of a late statement', async () => {
    const notAwaited = rig.db.transaction().execute(async (tx) => void errorOf(rig.insertOnly(tx, 1)))
    expect((await errorOf(notAwaited))?.message).to.include(NOT_ALONE)
    await rig.expectStored(1)

    let late: Promise<unknown> = Promise.resolve()
    async function sendLate(tx: Kysely<Tables>) {
      await rig.insert(tx, 3)
    }
    const transaction = await rig.db.startTransaction().execute()
    await rig.insert(transaction, 2)
    const committing = transaction.commit().execute()
    late = errorOf(sendLate(transaction))
    await committing
    expect(await late)
      .to.have.property('stack')
      .that.includes('sendLate')
    expect(await rig.stored()).to.deep.equal([1, 2])
  })

  it('executes no statement that was sent while its transaction is rolled back', async () => {
    const pid = await rig.pid()
    await rig.insert(rig.db, 1)
    let late: Promise<unknown>[] = []
    const failing = rig.db.transaction().execute(async (tx) => {
      const first = rig.insert(tx, 1)
      late = [rig.insert(tx, 2), rig.insert(tx, 3), rig.insertOnly(tx, 4)].map(errorOf)
      await first
    })
    expect((await errorOf(failing))?.code).to.equal('23505')
    for (const error of await Promise.all(late)) expect(error).to.be.instanceOf(Error)
    expect(await rig.stored()).to.deep.equal([1])
    await rig.expectClean(pid)
  })

  it('rolls back a first statement that its caller did not await', async () => {
    const pid = await rig.pid()
    const failing = rig.db.transaction().execute(async (tx) => {
      void errorOf(rig.insert(tx, 1))
      throw new Error('before the answer')
    })
    expect((await errorOf(failing))?.message).to.equal('before the answer')
    expect(await rig.stored()).to.deep.equal([])
    await rig.expectClean(pid)
  })

  it('begins no transaction after it was closed, also if it was closed while a session was opened', async () => {
    const closing = open(rig.databaseUrl, 'closing')
    const transaction = errorOf(closing.transaction().execute((tx) => rig.insertOnly(tx, 1)))
    await closing.destroy()
    expect((await transaction)?.message).to.include('closed')
    expect(await rig.stored()).to.deep.equal([])
  })

  it('begins a transaction with a savepoint, and rolls back to it', async () => {
    const tx = await rig.db.startTransaction().execute()
    const saved = await tx.savepoint('before').execute()
    await rig.insert(saved, 1)
    await saved.rollbackToSavepoint('before').execute()
    await rig.insert(tx, 2)
    await tx.commit().execute()
    expect(await rig.stored()).to.deep.equal([2])
  })

  it('runs transactions one after another on a session that its caller keeps', async () => {
    await rig.db.connection().execute(async (session) => {
      for (const id of [1, 2]) await session.transaction().execute((tx) => rig.insertOnly(tx, id))
      await rig.insert(session, 3)
      await session.transaction().execute((tx) => rig.insert(tx, 4))
    })
    expect(await rig.stored()).to.deep.equal([1, 2, 3, 4])
  })
})

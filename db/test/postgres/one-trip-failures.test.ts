import { eventually, query } from '@cashflow/testing'
import { expect } from 'chai'
import { AbortedTransactionError, sql, type Transaction } from 'kysely'
import { createDatabase, isTransient, onlyStatement, type Tables } from '../../src/index.ts'
import { createOneTripRig, errorOf, type OneTripRig, open, optionsOf } from './one-trip-rig.ts'

describe('one-trip driver', () => {
  let rig: OneTripRig
  beforeEach(async () => {
    rig = await createOneTripRig()
  })
  afterEach(() => rig.stop())

  describe('when a statement fails', () => {
    // Promise 4
    it('throws the error of a marked statement, stores nothing and leaves a clean session', async () => {
      const pid = await rig.pid()
      await rig.insert(rig.db, 2)
      const error = await errorOf(
        rig.db
          .transaction()
          .execute((tx) => sql`insert into things (id) values (${1}), (${2})`.execute(onlyStatement(tx))),
      )
      expect(error?.code).to.equal('23505')
      expect(await rig.stored()).to.deep.equal([2])
      await rig.expectClean(pid)
      await rig.db.transaction().execute((tx) => rig.insertOnly(tx, 3))
      expect(await rig.stored()).to.deep.equal([2, 3])
    })

    it('throws the error of a first statement, stores nothing and leaves a clean session', async () => {
      const pid = await rig.pid()
      await rig.insert(rig.db, 1)
      expect((await errorOf(rig.db.transaction().execute((tx) => rig.insert(tx, 1))))?.code).to.equal('23505')
      await rig.expectClean(pid)
    })

    it('throws the error of a statement that PostgreSQL cannot parse, each time', async () => {
      const broken = () =>
        rig.db.transaction().execute((tx) => sql`select ${1} from nowhere`.execute(onlyStatement(tx)))
      for (let time = 0; time < 2; time++) expect((await errorOf(broken()))?.code).to.equal('42P01')
    })

    it('commits nothing for a caller that goes on after the error of a statement', async () => {
      await rig.insert(rig.db, 1)
      const afterTwo = rig.db.transaction().execute(async (tx) => {
        await rig.insert(tx, 2)
        await errorOf(rig.insert(tx, 1))
      })
      expect(await errorOf(afterTwo)).to.be.instanceOf(AbortedTransactionError)
      const afterMarked = rig.db.transaction().execute(async (tx) => {
        await errorOf(rig.insertOnly(tx, 1))
        await rig.insert(tx, 2)
      })
      expect((await errorOf(afterMarked))?.code).to.equal('23505')
      expect(await rig.stored()).to.deep.equal([1])
    })

    it('reports the error of COMMIT, and executes nothing of a caller that goes on', async () => {
      const pid = await rig.pid()
      await query(rig.databaseUrl, 'create table deferred (id int unique deferrable initially deferred)')
      await query(rig.databaseUrl, 'insert into deferred values (1)')
      for (const goOn of [async () => {}, (tx: Transaction<Tables>) => rig.insert(tx, 2)]) {
        const transaction = rig.db.transaction().execute(async (tx) => {
          await errorOf(sql`insert into deferred values (${1})`.execute(onlyStatement(tx)))
          await goOn(tx)
        })
        expect((await errorOf(transaction))?.code).to.equal('23505')
        expect(await rig.stored()).to.deep.equal([])
        await rig.expectClean(pid)
      }
    })

    it('closes the session after an error of pg itself, also if the statement had to wait for its turn', async () => {
      const circular: Record<string, unknown> = {}
      circular.self = circular
      const database = createDatabase(optionsOf(rig.databaseUrl, 'queued'))
      const session = await database.openSession('queued')
      const slow = session.query('select pg_sleep(0.1)')
      const queued = errorOf(session.query('insert into things (id) values ($1)', [circular]))
      await slow
      expect((await queued)?.message).to.include('circular')
      expect((await errorOf(session.query('select 1')))?.message).to.include('circular')
      await database.destroy()
    })

    it('stores nothing of a transaction one of whose parameters pg cannot write', async () => {
      const circular: Record<string, unknown> = {}
      circular.self = circular
      for (const write of [rig.insert, rig.insertOnly]) {
        const error = await errorOf(rig.db.transaction().execute((tx) => write(tx, circular)))
        expect(error?.message).to.include('circular')
      }
      await rig.db.transaction().execute((tx) => rig.insertOnly(tx, 2))
      expect(await rig.stored()).to.deep.equal([2])
    })
  })

  describe('when an answer is lost', () => {
    it('throws a transient error for a transaction that has committed, so that it is in doubt', async () => {
      rig.proxy.holdAnswers()
      const transaction = errorOf(rig.db.transaction().execute((tx) => rig.insertOnly(tx, 1)))
      await rig.expectStored(1)
      rig.proxy.reset()
      expect(isTransient(await transaction)).to.equal(true)
      rig.proxy.restore()
      await rig.db.transaction().execute((tx) => rig.insertOnly(tx, 2))
      expect(await rig.stored()).to.deep.equal([1, 2])
    })

    it('throws a transient error for a COMMIT whose answer alone is lost', async () => {
      rig.proxy.loseAnswerTo('commit')
      const transaction = errorOf(rig.db.transaction().execute((tx) => rig.insert(tx, 1)))
      expect(isTransient(await transaction)).to.equal(true)
      await rig.expectStored(1)
    })

    it('throws a transient error for a statement that its session did not survive, and stores nothing', async () => {
      const holder = open(rig.databaseUrl, 'holder')
      const other = await holder.startTransaction().execute()
      await rig.insert(other, 1)
      const transaction = errorOf(rig.db.transaction().execute((tx) => rig.insertOnly(tx, 1)))
      const waiting = await eventually(async () => {
        const [session] = await query(
          rig.databaseUrl,
          "select pid from pg_stat_activity where application_name = 'one-trip' and wait_event_type = 'Lock'",
        )
        return session?.pid ?? expect.fail('no session waits')
      })
      await query(rig.databaseUrl, `select pg_terminate_backend(${waiting}, 2000)`)
      expect(isTransient(await transaction)).to.equal(true)
      await other.rollback().execute()
      await holder.destroy()
      expect(await rig.stored()).to.deep.equal([])
    })
  })

  describe('when BEGIN fails', () => {
    // PostgreSQL has no such isolation level, so it refuses BEGIN. It has received the statement behind it already.
    const transaction = () => rig.db.transaction().setIsolationLevel('snapshot')

    it('throws the error of BEGIN, and leaves a clean session', async () => {
      const pid = await rig.pid()
      expect((await errorOf(transaction().execute((tx) => rig.insert(tx, 1))))?.code).to.equal('42601')
      await rig.expectClean(pid)
    })

    // Promise 4
    it('executes no statement', async () => {
      const codes: unknown[] = []
      const error = await errorOf(
        transaction().execute(async (tx) => {
          for (const id of [1, 2]) codes.push((await errorOf(rig.insert(tx, id)))?.code)
        }),
      )
      expect([...codes, error?.code]).to.deep.equal(['42601', '42601', '42601'])
      expect(await rig.stored()).to.deep.equal([])
    })

    it('prepares the statement again for the next transaction', async () => {
      expect((await errorOf(transaction().execute((tx) => rig.insert(tx, 1))))?.code).to.equal('42601')
      await rig.db.transaction().execute((tx) => rig.insert(tx, 1))
      await rig.db.transaction().execute((tx) => rig.insert(tx, 2))
      expect(await rig.stored()).to.deep.equal([1, 2])
    })

    it('throws a transient error when the server has ended the session, and leaves no rejection unhandled', async () => {
      const unhandled: unknown[] = []
      const onUnhandled = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', onUnhandled)
      const [session] = await rig.sessions()
      const error = await errorOf(
        rig.db.transaction().execute(async (tx) => {
          await query(rig.databaseUrl, `select pg_terminate_backend(${session?.pid}, 2000)`)
          await rig.insert(tx, 1)
        }),
      )
      expect(isTransient(error), error?.message).to.equal(true)
      await rig.db.transaction().execute((tx) => rig.insertOnly(tx, 2))
      expect(await rig.stored()).to.deep.equal([2])
      process.off('unhandledRejection', onUnhandled)
      expect(unhandled).to.deep.equal([])
    })
  })
})

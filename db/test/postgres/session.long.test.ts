import { randomUUID } from 'node:crypto'
import { settlePayment, type TransitionResult } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { createLogger } from '@cashflow/runtime'
import {
  createTestDatabase,
  eventually,
  openClient,
  type PrivatePostgres,
  query as queryOn,
  startPrivatePostgres,
  startTcpProxy,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { createDatabase, isPermanent, isTransient, lastStatement, type Tables } from '../../src/index.ts'
import { CommitInDoubtError, ReadOnlyError } from '../../src/postgres/errors.ts'
import { claimPayment, newPayment, storePayments, storeSettlements } from '../test-store.ts'

const logger = createLogger({ service: 'test', level: 'error' })
const open = (url: string, statementMs?: number) =>
  createDatabase({ url, applicationName: 'test', poolMax: 1, logger, ...(statementMs && { statementMs }) })
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
      db.transaction().execute((tx) => sql`insert into things values (${id})`.execute(lastStatement(tx)))
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

  it('db: throws an error that is not permanent when a session cannot be opened', async () => {
    const database = await createTestDatabase()
    const db = open(`${database.url}?sslmode=verify-full`)
    const refused = await reasonOf(sql`select 1`.execute(db))
    expect(refused).to.be.an('error').with.property('message').that.includes('does not support SSL')
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

describe('COMMIT without a synchronous standby', () => {
  let server: PrivatePostgres
  let admin: pg.Client
  let db: Kysely<Tables>
  before(async () => {
    server = await startPrivatePostgres()
    db = open(server.url)
    admin = await openClient(server.url)
    await waitForStandbys('ANY 1 (absent)')
  }).timeout(180_000)
  after(async () => {
    await db.destroy()
    await admin.end()
    await server.stop()
  })

  async function waitForStandbys(names: string): Promise<void> {
    await admin.query(`alter system set synchronous_standby_names = '${names}'`)
    await admin.query('select pg_reload_conf()')
    await eventually(async () => expect(await commitWaits()).to.equal(names !== ''))
  }

  /** Whether a COMMIT waits. The setting of the session is not enough: the checkpointer has to read it as well. */
  async function commitWaits(): Promise<boolean> {
    const client = await openClient(server.url)
    let committed = false
    const commit = client.query("select pg_logical_emit_message(true, 'a test', '')").then(() => {
      committed = true
    })
    const waits = await eventually(async () => {
      if (committed) return false
      await cancelWait()
      return true
    })
    await commit
    await client.end()
    return waits
  }

  /** Waits until a COMMIT waits for the standby, and cancels its wait. */
  const waitCancelled = () => eventually(cancelWait)
  const cancelWait = async () => {
    const { rows } = await admin.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
    )
    expect(rows).to.have.length(1)
  }

  it('db: counts an insert as in doubt after its wait for the standby was canceled, also when the repetition finds its own row', async () => {
    const { payment, event } = newPayment()
    const attempt = () =>
      storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })

    const first = reasonOf(attempt())
    await waitCancelled()
    const doubt = await first
    expect(doubt).to.be.instanceOf(CommitInDoubtError)
    expect(isTransient(doubt)).to.equal(true)

    // The repetition finds its own row, and has to wait for the standby nevertheless.
    const second = reasonOf(attempt())
    await waitCancelled()
    expect(await second).to.be.instanceOf(CommitInDoubtError)

    await waitForStandbys('')
    expect(await attempt()).to.deep.equal([{ paymentId: payment.id, mismatch: [] }])
  }).timeout(180_000)

  it('db: counts a claim and a settlement as in doubt after their wait for the standby was canceled, until they find themselves', async () => {
    const { payment, event } = newPayment()
    await storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
    await waitForStandbys('ANY 1 (absent)')
    const token = randomUUID()
    const claim = () =>
      claimPayment(db, payment.id, { token, leaseMs: 60_000, attemptsMax: 10, redriveAfterMs: 60_000 })
    for (let attempt = 0; attempt < 2; attempt++) {
      const claimed = reasonOf(claim())
      await waitCancelled()
      expect(await claimed).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await claim()).to.include({ verdict: 'claimed', attempts: 0 })

    await waitForStandbys('ANY 1 (absent)')
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date()) as TransitionResult & {
      settled: true
    }
    const settle = () =>
      storeSettlements(db, [{ ...settlement, token, actor: 'worker', requestId: undefined, messages: [] }])
    for (let attempt = 0; attempt < 2; attempt++) {
      const settled = reasonOf(settle())
      await waitCancelled()
      expect(await settled).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await settle()).to.deep.equal(['SUCCESS'])
  }).timeout(180_000)

  it('db: counts a dead letter as in doubt after the wait for the standby was canceled, also when another one is found', async () => {
    const letter = { messageId: randomUUID(), key: 'k', topic: 't', payload: {}, source: 's', reason: 'r', attempts: 1 }
    const bury = () => db.transaction().execute((tx) => buryMessage(tx, letter))
    await waitForStandbys('ANY 1 (absent)')
    for (let attempt = 0; attempt < 2; attempt++) {
      const buried = reasonOf(bury())
      await waitCancelled()
      expect(await buried).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await bury()).to.equal(false)
  }).timeout(180_000)

  it('db: counts a transaction in one trip as in doubt after its wait for the standby was canceled, but not the next one', async () => {
    await waitForStandbys('ANY 1 (absent)')
    let answered: unknown
    const write = () =>
      db.transaction().execute(async (tx) => {
        answered = await sql`select pg_logical_emit_message(true, 'a test', '')`.execute(lastStatement(tx))
      })
    const first = reasonOf(write())
    await waitCancelled()
    expect(await first).to.be.instanceOf(CommitInDoubtError)
    expect(answered).to.be.an('object')
    await waitForStandbys('')
    await write()
  }).timeout(180_000)

  it('db: ends a COMMIT on the server that still waits for the standby after the client has given up', async () => {
    await waitForStandbys('ANY 1 (absent)')
    const impatient = open(server.url, 2_000)
    const { payment, event } = newPayment()
    const waiting = (count: number) =>
      eventually(async () => {
        const { rows } = await admin.query("select 1 from pg_stat_activity where wait_event = 'SyncRep'")
        expect(rows).to.have.length(count)
      })
    const overdue = reasonOf(
      storePayments(impatient, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 }),
    )
    await waiting(1)
    expect(isTransient(await overdue)).to.equal(true)
    await waiting(0)
    await impatient.destroy()
    await waitForStandbys('')
  }).timeout(180_000)
})

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

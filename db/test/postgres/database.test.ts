import { expect } from 'chai'
import { sql } from 'kysely'
import { isAway, isPermanent, isTransient, mayBeItemsOwn } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: Error & { code?: string }) => error,
  )

describe('database', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(3)
  })
  afterEach(() => store.drop())

  it('db: limits every way of waiting on each session', async () => {
    const { rows } = await sql<{ name: string; setting: string }>`
      select name, setting from pg_settings where name in ('statement_timeout', 'lock_timeout', 'application_name',
        'idle_in_transaction_session_timeout', 'tcp_user_timeout', 'synchronous_commit') order by name`.execute(
      store.db,
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).to.deep.equal({
      application_name: 'test',
      idle_in_transaction_session_timeout: '10000',
      lock_timeout: '2000',
      statement_timeout: '5000',
      synchronous_commit: 'on',
      tcp_user_timeout: '6000',
    })
  })

  it('db: survives the end of a session that idles within a transaction, and opens another one', async () => {
    const tx = await store.db.startTransaction().execute()
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
    await sql`select pg_terminate_backend(${rows[0]?.pid}, 2000)`.execute(store.db)
    const lost = await errorOf(sql`select 1`.execute(tx))
    expect(isTransient(lost), lost?.message).to.equal(true)
    await errorOf(tx.rollback().execute())
    await sql`select 1`.execute(store.db)
  })

  describe('isTransient', () => {
    it('is true for a deadlock, a lock timeout and a serialisation failure', async () => {
      for (const code of ['40P01', '55P03', '40001', '57P01', '57P02', '57P03', '53300', '25006', '08006']) {
        const error = await errorOf(
          sql`${sql.raw(`do $$ begin raise exception 'x' using errcode = '${code}'; end $$`)}`.execute(store.db),
        )
        expect(error?.code).to.equal(code)
        expect(isTransient(error), code).to.equal(true)
      }
    })

    it('is false for a constraint, a syntax error, a statement timeout and a bug', async () => {
      for (const code of ['23505', '42601', '57014', '22P02', '42P01']) {
        expect(isTransient(Object.assign(new Error('x'), { code })), code).to.equal(false)
      }
      expect(isTransient(new TypeError('x is not a function'))).to.equal(false)
      expect(isTransient('text')).to.equal(false)
    })

    it('is true for every error of Node about a server that cannot be reached', async () => {
      const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      expect(isTransient(refused)).to.equal(true)
      expect(isTransient(new AggregateError([refused, refused]))).to.equal(true)
    })
  })

  describe('isPermanent', () => {
    it('is true for statements that PostgreSQL will always refuse, and for bugs', () => {
      for (const code of ['22P02', '23505', '42P01', '42601', '0A000', 'P0001', 'ERR_INVALID_ARG_TYPE']) {
        expect(isPermanent(Object.assign(new Error('x'), { code })), code).to.equal(true)
      }
      expect(isPermanent(new TypeError('x is not a function'))).to.equal(true)
      expect(isPermanent('text')).to.equal(true)
    })

    it('is false for errors that end by themselves, and for those that an operator has to fix', () => {
      // Also a full disk, a changed password, a missing database, one without connections, a slow statement, too many files.
      for (const code of [
        '40P01',
        'ECONNREFUSED',
        '53100',
        '28P01',
        '3D000',
        '55000',
        '57014',
        '58030',
        '25P03',
        'EMFILE',
      ]) {
        expect(isPermanent(Object.assign(new Error('x'), { code })), code).to.equal(false)
      }
      expect(isPermanent(new Error('Connection terminated unexpectedly'))).to.equal(false)
    })
  })
  const errorWith = (code: string) => Object.assign(new Error('x'), { code })

  describe('mayBeItemsOwn', () => {
    it('is true for damaged data, internal errors, limits, triggers and constraints', () => {
      for (const code of [
        'XX001',
        'XX000',
        'XX002',
        '58030',
        '54000',
        '38000',
        '39P01',
        '23514',
        '22003',
        '21000',
        'P0001',
      ])
        expect(mayBeItemsOwn(errorWith(code)), code).to.equal(true)
    })

    it('is false for the server, the session, the load, the disk, the statement and a bug', () => {
      const states = [
        '08006',
        '25006',
        '26000',
        '28P01',
        '3D000',
        '40P01',
        '53100',
        '55P03',
        '57014',
        '58P01',
        '0A000',
        '42P01',
      ]
      for (const code of [...states, 'EPIPE', 'EMFILE', 'commit_in_doubt', 'ERR_INVALID_ARG_TYPE'])
        expect(mayBeItemsOwn(errorWith(code)), code).to.equal(false)
      // PostgreSQL reports this when it has run out of transaction ids.
      const noIds = Object.assign(errorWith('54000'), { routine: 'GetNewTransactionId' })
      expect(mayBeItemsOwn(noIds)).to.equal(false)
      expect(mayBeItemsOwn(new TypeError('x is not a function'))).to.equal(false)
      expect(mayBeItemsOwn('text')).to.equal(false)
    })
  })

  it('isAway is true for a server that gave no answer to a statement, and false for one that refused it', () => {
    for (const code of ['08006', '28P01', '3D000', '53300', '55000', '57P01', '57P03', 'EPIPE', 'ECONNREFUSED'])
      expect(isAway(errorWith(code)), code).to.equal(true)
    expect(isAway(new Error('Connection terminated unexpectedly'))).to.equal(true)
    for (const code of ['40P01', '53100', '55P03', '57014', '58030', 'XX001', '23505'])
      expect(isAway(errorWith(code)), code).to.equal(false)
    expect(isAway(new TypeError('x is not a function'))).to.equal(false)
  })
})

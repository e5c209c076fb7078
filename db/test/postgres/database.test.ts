import { expect } from 'chai'
import { sql } from 'kysely'
import { isTransient } from '../../src/index.ts'
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
})

import { eventually, openClient, openPool } from '@cashflow/testing'
import { expect } from 'chai'
import { Kysely, PostgresDialect, sql } from 'kysely'
import type pg from 'pg'
import { createNotifier, OUTBOX_CHANNEL } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

describe('notifier', () => {
  let outbox: TestOutbox
  let listener: pg.Client
  const heard: (string | undefined)[] = []
  before(async () => {
    outbox = await createTestOutbox()
    listener = await openClient(outbox.url)
    listener.on('notification', ({ payload }) => heard.push(payload))
    await listener.query(`listen ${OUTBOX_CHANNEL}`)
  })
  after(async () => {
    await listener.end()
    await outbox.drop()
  })

  it('notifies at once of the first commit, and once of all commits within the next 10 ms', async () => {
    const notifier = createNotifier(outbox.db)
    for (let commit = 1; commit <= 100; commit += 1) notifier.notify()
    await eventually(() => expect(heard).to.have.length.above(1))
    await sql`select pg_notify(${OUTBOX_CHANNEL}, 'the end')`.execute(outbox.db)
    await eventually(() => expect(heard).to.include('the end'))
    expect(heard).to.deep.equal(['', '', 'the end'])
  })

  it('reports a notification that fails, and the next one that succeeds', async () => {
    const reported: string[] = []
    const fails = {
      holds: ({ error }: { error: unknown }) => void reported.push(String(error)),
      ended: () => void reported.push('sent'),
    }
    const db = new Kysely({ dialect: new PostgresDialect({ pool: openPool(outbox.url, { max: 1 }) }) })
    await sql`create schema hidden; create function hidden.pg_notify(text, text) returns void
      language plpgsql as $$ begin raise exception 'too many notifications'; end $$;
      set search_path = hidden, pg_catalog, public`.execute(db)
    const notifier = createNotifier(db, fails)
    notifier.notify()
    await eventually(() => expect(reported).to.deep.equal(['error: too many notifications']))
    await sql`set search_path = public`.execute(db)
    notifier.notify()
    await eventually(() => expect(reported.at(-1)).to.equal('sent'))
    await db.destroy()
  })
})

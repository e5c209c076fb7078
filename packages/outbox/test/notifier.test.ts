import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type pg from 'pg'
import { createNotifier, OUTBOX_CHANNEL } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

describe('a notifier', () => {
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

  it('tells at once of the first commit, and once of all that follow in its pause', async () => {
    const notifier = createNotifier(outbox.db)
    for (let commit = 1; commit <= 100; commit += 1) notifier.notify()
    await eventually(() => expect(heard).to.have.length.above(1))
    await sql`select pg_notify(${OUTBOX_CHANNEL}, 'the end')`.execute(outbox.db)
    await eventually(() => expect(heard).to.include('the end'))
    expect(heard).to.deep.equal(['', '', 'the end'])
  })
})

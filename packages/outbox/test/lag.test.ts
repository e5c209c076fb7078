import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { appendMessages, createTopics, outboxLagMs, promoteDue, scheduleMessages } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

const MINUTE_MS = 60_000

describe('outbox lag', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const messages = (count: number) => Array.from({ length: count }, () => aMessage())
  const schedule = (delayMs: number) =>
    outbox.db.transaction().execute((tx) => scheduleMessages(tx, messages(3), delayMs))

  it('outbox lag is 0 while no message waits, even if messages are scheduled for later', async () => {
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.equal(0)
    await schedule(60 * MINUTE_MS)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.equal(0)
  })

  it('outbox lag is the age of the oldest message in any lane', async () => {
    const news = messages(50)
    await outbox.db.transaction().execute((tx) => appendMessages(tx, news))
    await sql`update outbox_messages set created_at = created_at - interval '5 minutes'
      where message_id = ${news[37]?.messageId}`.execute(outbox.db)
    await sql`delete from outbox_messages m using outbox_messages oldest
      where oldest.message_id = ${news[37]?.messageId} and m.lane = oldest.lane and m.id < oldest.id`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
  })

  it('counts the age of a scheduled message from when it is due, before and after it is promoted', async () => {
    await schedule(0)
    await sql`update outbox_scheduled
      set created_at = now() - interval '1 day', due_at = now() - interval '5 minutes'`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
    expect(await promoteDue(outbox.db, createTopics())).to.equal(3)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
  })

  it('counts the age of a refused message from when it was appended: due, not due, and back in its lane behind younger ones', async () => {
    await schedule(60_000)
    await sql`update outbox_scheduled set refused = true, created_at = now() - interval '5 minutes'`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
    await outbox.db.transaction().execute((tx) => appendMessages(tx, messages(40)))
    await sql`update outbox_scheduled set due_at = now() - interval '1 second'`.execute(outbox.db)
    expect(await promoteDue(outbox.db, createTopics())).to.equal(3)
    expect(await outboxLagMs(outbox.db, ['thing.happened'])).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
  })

  it('outbox lag is 0 for topics without messages', async () => {
    await outbox.db.transaction().execute((tx) => appendMessages(tx, messages(3)))
    await schedule(0)
    await sql`update outbox_scheduled set refused = true`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db, ['another', 'a.third'])).to.equal(0)
  })
})

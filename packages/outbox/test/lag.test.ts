import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { appendMessages, outboxLagMs, promoteDue, scheduleMessages } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

const MINUTE_MS = 60_000

describe("the outbox's lag", () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const messages = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      messageId: randomUUID(),
      key: `key ${index}`,
      topic: 'thing.happened',
      payload: {},
    }))
  const schedule = (delayMs: number) =>
    outbox.db.transaction().execute((tx) => scheduleMessages(tx, messages(3), delayMs))

  it('is nothing while nothing waits, whatever is scheduled for later', async () => {
    expect(await outboxLagMs(outbox.db)).to.equal(0)
    await schedule(60 * MINUTE_MS)
    expect(await outboxLagMs(outbox.db)).to.equal(0)
  })

  it('is the age of the oldest message, in whichever lane', async () => {
    const news = messages(50)
    await outbox.db.transaction().execute((tx) => appendMessages(tx, news))
    await sql`update outbox_messages set created_at = created_at - interval '5 minutes'
      where message_id = ${news[37]?.messageId}`.execute(outbox.db)
    await sql`delete from outbox_messages m using outbox_messages oldest
      where oldest.message_id = ${news[37]?.messageId} and m.lane = oldest.lane and m.id < oldest.id`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db)).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
  })

  it('counts a scheduled message from when it is due, before and after it is promoted', async () => {
    await schedule(0)
    await sql`update outbox_scheduled
      set created_at = now() - interval '1 day', due_at = now() - interval '5 minutes'`.execute(outbox.db)
    expect(await outboxLagMs(outbox.db)).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
    expect(await promoteDue(outbox.db)).to.equal(3)
    expect(await outboxLagMs(outbox.db)).to.be.within(5 * MINUTE_MS, 60 * MINUTE_MS)
  })
})

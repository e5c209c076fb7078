import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type NewMessage, promoteDue, scheduleMessages } from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

function messages(count: number): NewMessage[] {
  return Array.from({ length: count }, (_, index) => ({
    messageId: randomUUID(),
    key: `key ${index}`,
    topic: 'thing.happened',
    payload: { index },
  }))
}

describe('a promotion', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const schedule = (news: readonly NewMessage[], delayMs: number) =>
    outbox.db.transaction().execute((tx) => scheduleMessages(tx, news, delayMs))

  it('moves what is due, once, with several relays at it', async () => {
    const news = messages(1_200)
    await schedule(news.slice(0, 1_190), 0)
    await schedule(news.slice(1_190), 60_000)
    const moved = await Promise.all(Array.from({ length: 6 }, () => promoteDue(outbox.db)))
    let sum = moved.reduce((total, count) => total + count, 0)
    for (let more = -1; more !== 0; sum += more) more = await promoteDue(outbox.db)
    expect(sum).to.equal(1_190)
    expect(await outbox.backlog()).to.equal(1_190)
    const lanes = await outbox.db.selectFrom('outbox_messages').select(['lane', 'key']).execute()
    expect(lanes.every(({ lane, key }) => lane === laneOf(key))).to.equal(true)
  })

  it('takes no xid when nothing is due', async () => {
    await schedule(messages(3), 60_000)
    const tx = await outbox.db.startTransaction().execute()
    expect(await promoteDue(tx)).to.equal(0)
    const { rows } = await sql<{ xid: string | null }>`select pg_current_xact_id_if_assigned()::text as xid`.execute(tx)
    await tx.rollback().execute()
    expect(rows).to.deep.equal([{ xid: null }])
  })

  it('takes its xid before it takes ids', async () => {
    // A default is evaluated where the identity's is.
    await sql`alter table outbox_messages add had_xid boolean
      default (pg_current_xact_id_if_assigned() is not null)`.execute(outbox.db)
    // nextval takes an xid itself each time it logs, for 32 ids at once.
    await sql`select nextval(pg_get_serial_sequence('outbox_messages', 'id'))`.execute(outbox.db)
    await schedule(messages(20), 0)
    expect(await promoteDue(outbox.db)).to.equal(20)
    const { rows } = await sql`select had_xid, count(*)::int from outbox_messages group by 1`.execute(outbox.db)
    expect(rows).to.deep.equal([{ had_xid: true, count: 20 }])
  })
})

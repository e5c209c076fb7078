import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createTopics, type NewMessage, type OutboxMessage, promoteDue, scheduleMessages } from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

function messages(count: number): NewMessage[] {
  return Array.from({ length: count }, (_, index) => aMessage({ key: `key ${index}`, payload: { index } }))
}

describe('promotion of scheduled messages', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const schedule = (news: readonly NewMessage[], delayMs: number) =>
    outbox.db.transaction().execute((tx) => scheduleMessages(tx, news, delayMs))

  // Promise 10
  it('moves each due message once when several relays promote', async () => {
    const news = messages(1_200)
    await schedule(news.slice(0, 1_190), 0)
    await schedule(news.slice(1_190), 60_000)
    const moved = await Promise.all(Array.from({ length: 6 }, () => promoteDue(outbox.db, createTopics())))
    let sum = moved.reduce((total, count) => total + count, 0)
    for (let more = -1; more !== 0; sum += more) more = await promoteDue(outbox.db, createTopics())
    expect(sum).to.equal(1_190)
    expect(await outbox.backlog()).to.equal(1_190)
    const lanes = await outbox.db.selectFrom('outbox_messages').select(['lane', 'key']).execute()
    expect(lanes.every(({ lane, key }) => lane === laneOf(key))).to.equal(true)
  })

  it('takes no xid when no message is due', async () => {
    await schedule(messages(3), 60_000)
    const tx = await outbox.db.startTransaction().execute()
    expect(await promoteDue(tx, createTopics())).to.equal(0)
    const { rows } = await sql<{ xid: string | null }>`select pg_current_xact_id_if_assigned()::text as xid`.execute(tx)
    await tx.rollback().execute()
    expect(rows).to.deep.equal([{ xid: null }])
  })

  it('takes its xid before it takes ids', async () => {
    // A column's default is evaluated at the same moment as the identity.
    await sql`alter table outbox_messages add had_xid boolean
      default (pg_current_xact_id_if_assigned() is not null)`.execute(outbox.db)
    // nextval takes an xid itself when it writes WAL, once for 32 ids. This call is the one that does.
    await sql`select nextval(pg_get_serial_sequence('outbox_messages', 'id'))`.execute(outbox.db)
    await schedule(messages(20), 0)
    expect(await promoteDue(outbox.db, createTopics())).to.equal(20)
    const { rows } = await sql`select had_xid, count(*)::int from outbox_messages group by 1`.execute(outbox.db)
    expect(rows).to.deep.equal([{ had_xid: true, count: 20 }])
  })

  describe('with refused messages', () => {
    const REFUSED = 300
    let now = 0
    const createRelay = () => createTopics({ now: () => now })
    beforeEach(async () => {
      now = 0
      await schedule(messages(REFUSED), 0)
      // The order of ids differs from the order of ages.
      await sql`update outbox_scheduled set refused = true, attempts = 3, due_at = now() - interval '1 second',
        topic = case when id % 3 = 0 then 'b' else 'a' end,
        created_at = now() - interval '1 hour' - ((id * 7919) % 1009) * interval '1 second'`.execute(outbox.db)
    })
    const rows = async (table: 'outbox_messages' | 'outbox_scheduled', topic: string) => {
      const { rows: found } = await sql<{ age: number; attempts: number }>`
        select extract(epoch from created_at)::float8 as age, attempts from ${sql.table(table)}
        where topic = ${topic} order by id`.execute(outbox.db)
      return found
    }

    // Promise 35
    it('moves the oldest messages of each refused topic, at most 128, and keeps their age and attempts', async () => {
      const all = (await rows('outbox_scheduled', 'a')).map(({ age }) => age).sort((x, y) => x - y)
      expect(await promoteDue(outbox.db, createRelay())).to.equal(128 + REFUSED / 3)
      const back = await rows('outbox_messages', 'a')
      expect(back.map(({ age }) => age)).to.deep.equal(all.slice(0, 128))
      expect(new Set(back.map(({ attempts }) => attempts))).to.deep.equal(new Set([3]))
    })

    it('moves no more refused messages until the topic’s wait has ended, in each of two relays', async () => {
      const relays = [createRelay(), createRelay()]
      await sql`update outbox_scheduled set topic = 'a'`.execute(outbox.db)
      for (const topics of relays) expect(await promoteDue(outbox.db, topics)).to.equal(128)
      for (const topics of relays) expect(await promoteDue(outbox.db, topics)).to.equal(0)
      now += 1_000
      for (const topics of relays) expect(await promoteDue(outbox.db, topics)).to.be.at.most(REFUSED - 256)
      expect(await outbox.backlog()).to.equal(REFUSED)
    })

    it('waits until the oldest message of a refused topic is due, unless the broker accepts the topic again', async () => {
      await sql`update outbox_scheduled set due_at = now() + interval '1 hour'
        where id = (select id from outbox_scheduled where topic = 'a' order by created_at, id limit 1)`.execute(
        outbox.db,
      )
      const topics = createRelay()
      expect(await promoteDue(outbox.db, topics)).to.equal(REFUSED / 3)
      const [message] = messages(1) as [NewMessage]
      topics.judge([{ ...message, topic: 'a' } as unknown as OutboxMessage], [{ status: 'confirmed' }])
      expect(await promoteDue(outbox.db, topics)).to.equal(128)
      expect(await promoteDue(outbox.db, topics)).to.equal(0)
    })

    it('takes no xid while no refused message is due for a try', async () => {
      await sql`update outbox_scheduled set due_at = now() + interval '1 hour'`.execute(outbox.db)
      const tx = await outbox.db.startTransaction().execute()
      expect(await promoteDue(tx, createRelay())).to.equal(0)
      const { rows: xids } = await sql`select pg_current_xact_id_if_assigned()::text as xid`.execute(tx)
      await tx.rollback().execute()
      expect(xids).to.deep.equal([{ xid: null }])
    })
  })
})

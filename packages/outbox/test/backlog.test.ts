import { aMessage } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { appendMessages, outboxBacklog, scheduleMessages } from '../src/index.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

const MINUTE_MS = 60_000

describe('outbox backlog', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const messages = (count: number, topic: string) => Array.from({ length: count }, () => aMessage({ topic }))
  const append = (count: number, topic: string) =>
    outbox.db.transaction().execute((tx) => appendMessages(tx, messages(count, topic)))
  const schedule = (count: number, topic: string, delayMs: number) =>
    outbox.db.transaction().execute((tx) => scheduleMessages(tx, messages(count, topic), delayMs))
  const age = (table: string, topic: string, minutes: number) =>
    sql`update ${sql.table(table)} set created_at = created_at - ${minutes} * interval '1 minute',
      ${sql.raw(table === 'outbox_scheduled' ? `due_at = due_at - ${minutes} * interval '1 minute',` : '')} attempts = 0
      where topic = ${topic}`.execute(outbox.db)
  /** Appends messages in the server. Every fifth one has the topic `rare`. */
  const fill = (count: number, lane: string) =>
    sql`insert into outbox_messages (lane, message_id, key, topic, payload)
      select ${sql.raw(lane)}, gen_random_uuid(), n::text, case when n % 5 = 0 then 'rare' else 'usual' end, '{}'
      from generate_series(1, ${count}::int) n`.execute(outbox.db)

  async function backlogOf(topic: string) {
    const backlog = await outboxBacklog(outbox.db)
    return backlog.find((one) => one.topic === topic)
  }

  it('outbox backlog: is empty without messages, and if all are scheduled for later', async () => {
    expect(await outboxBacklog(outbox.db)).to.deep.equal([])
    await schedule(3, 'later', MINUTE_MS)
    expect(await outboxBacklog(outbox.db)).to.deep.equal([])
  })

  it('outbox backlog: counts the messages of each topic in lanes, due and refused, with the age of the oldest', async () => {
    await append(40, 'a')
    await append(3, 'b')
    await age('outbox_messages', 'b', 5)
    await schedule(2, 'a', 0)
    await age('outbox_scheduled', 'a', 7)
    await schedule(4, 'c', 10 * MINUTE_MS)
    await sql`update outbox_scheduled set refused = true, created_at = now() - interval '9 minutes' where topic = 'c'`.execute(
      outbox.db,
    )
    const backlog = await outboxBacklog(outbox.db)
    const found = backlog.map(({ oldestMs, ...one }) => ({ ...one, minutes: Math.floor(oldestMs / MINUTE_MS) }))
    expect(found).to.have.deep.members([
      { topic: 'a', messages: 42, capped: false, minutes: 7 },
      { topic: 'b', messages: 3, capped: false, minutes: 5 },
      { topic: 'c', messages: 4, capped: false, minutes: 9 },
    ])
  })

  for (const [title, lane] of [
    ['of all lanes', 'n % 32'],
    ['of one lane', '3'],
  ] as const)
    it(`outbox backlog: counts 10,000 messages ${title} exactly, and caps one more`, async () => {
      await fill(10_000, lane)
      expect(await backlogOf('usual')).to.include({ messages: 8_000, capped: false })
      expect(await backlogOf('rare')).to.include({ messages: 2_000, capped: false })
      await fill(1, lane)
      const usual = await backlogOf('usual')
      const rare = await backlogOf('rare')
      expect([usual?.capped, rare?.capped]).to.deep.equal([true, true])
      expect(usual?.messages).to.be.closeTo(8_000, 800)
      expect((usual?.messages ?? 0) + (rare?.messages ?? 0)).to.equal(10_000)
    })

  it('outbox backlog: shows every refused topic, however many messages the first one has', async () => {
    await sql`insert into outbox_scheduled (lane, message_id, key, topic, payload, due_at, refused, created_at)
      select 0, gen_random_uuid(), n::text, case n when 1 then 'z' else 'a' end, '{}', now(), true, now() - interval '1 hour'
      from generate_series(1, 10002) n`.execute(outbox.db)
    expect(await backlogOf('a')).to.include({ messages: 10_000, capped: true })
    const last = await backlogOf('z')
    expect(last).to.include({ messages: 1, capped: true })
    expect(last?.oldestMs).to.be.closeTo(60 * MINUTE_MS, MINUTE_MS)
  })
})

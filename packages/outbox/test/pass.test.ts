import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { appendMessages, createFloors, createTopics, type NewMessage, promoteDue, runPass } from '../src/index.ts'
import { laneOf } from '../src/message.ts'
import { createTestOutbox, LIMITS, messages, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

describe('outbox pass', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  const append = (news: readonly NewMessage[]) => outbox.db.transaction().execute((tx) => appendMessages(tx, news))
  const pass = (publisher = scriptedPublisher(), startLane = 0, limits = LIMITS) =>
    runPass({ db: outbox.db, publisher, floors: createFloors(), topics: createTopics(), limits }, startLane)

  /** Runs passes until one finds no message. */
  async function drain(publisher = scriptedPublisher(), limits = LIMITS) {
    const floors = createFloors()
    const topics = createTopics()
    let lane = 0
    for (;;) {
      const result = await runPass({ db: outbox.db, publisher, floors, topics, limits }, lane)
      if (result.dispositions.length === 0) return publisher
      lane = result.nextLane
    }
  }

  // Promise 7
  it('publishes each message once and deletes it when it is confirmed', async () => {
    const news = messages(200)
    await append(news)
    const publisher = await drain()
    expect(publisher.published.map(({ messageId }) => messageId)).to.have.members(
      news.map(({ messageId }) => messageId),
    )
    expect(publisher.published[0]).to.include({ topic: 'thing.happened', attempts: 0, mandatory: true })
    expect(JSON.parse(publisher.published[0]?.body ?? '')).to.have.property('index')
    expect(await outbox.backlog()).to.equal(0)
  })

  it('looks at `laneCount` lanes, and returns the lane after them for the next pass', async () => {
    await append(messages(400))
    const publisher = scriptedPublisher()
    const limits = { ...LIMITS, lanesMax: 8 }
    const options = { db: outbox.db, publisher, floors: createFloors(), topics: createTopics(), limits }
    expect((await runPass(options, 30, 3)).nextLane).to.equal(1)
    expect(new Set(publisher.published.map(({ key }) => laneOf(key)))).to.deep.equal(new Set([30, 31, 0]))
    expect(await runPass(options, 30, 3)).to.deep.equal({
      dispositions: [],
      changes: [],
      lanesHeld: 0,
      cutBySize: false,
      nextLane: 1,
    })
  })

  it('keeps its messages until their confirm, and no other pass reads them', async () => {
    const one = messages(1)
    await append(one)
    const confirm = Promise.withResolvers<{ status: 'confirmed' }>()
    const asked = Promise.withResolvers<void>()
    const waiting = pass(
      scriptedPublisher(() => {
        asked.resolve()
        return confirm.promise
      }),
    )
    await asked.promise
    expect(await outbox.backlog()).to.equal(1)
    const other = await pass()
    expect(other.dispositions, 'the lane is locked').to.have.length(0)
    confirm.resolve({ status: 'confirmed' })
    await waiting
    expect(await outbox.backlog()).to.equal(0)
  })

  it('starts at the lane that it is given, and locks at most `lanesMax` lanes', async () => {
    await append(messages(1_000))
    const { dispositions, nextLane } = await pass(scriptedPublisher(), 28)
    const lanes = new Set(dispositions.map(({ message }) => message.lane))
    expect([...lanes].sort((a, b) => a - b)).to.deep.equal([0, 1, 2, 3, 28, 29, 30, 31])
    expect(nextLane).to.equal(4)
  })

  it('returns the start lane for the next pass when the outbox is empty', async () => {
    const { dispositions, nextLane } = await pass(scriptedPublisher(), 5)
    expect(dispositions).to.have.length(0)
    expect(nextLane).to.equal(5)
  })

  it('reads at most `messagesPerLaneMax` messages of a lane, in order', async () => {
    const news = messages(100, { key: 'one key' })
    await append(news)
    const publisher = scriptedPublisher()
    await pass(publisher)
    expect(publisher.published.map(({ messageId }) => messageId)).to.deep.equal(
      news.slice(0, 64).map(({ messageId }) => messageId),
    )
  })

  it('reads at most `bytesMax` bytes and the message that exceeds them', async () => {
    const large = 'x'.repeat(400)
    await append([
      ...messages(10, { payload: large, key: 'a' }),
      ...messages(1, { payload: large.repeat(9), key: 'a' }),
    ])
    const limits = { ...LIMITS, bytesMax: 1_000 }
    const sizes: number[] = []
    const floors = createFloors()
    for (let read = -1; read !== 0; ) {
      read = (
        await runPass({ db: outbox.db, publisher: scriptedPublisher(), floors, topics: createTopics(), limits }, 0)
      ).dispositions.length
      sizes.push(read)
    }
    expect(sizes).to.deep.equal([3, 3, 3, 2, 0])
  })

  // Promise 9
  it('makes an oversized message a dead letter, and publishes the next one of its key', async () => {
    const [huge, next] = messages(2, { key: 'k' })
    await append([huge as NewMessage, next as NewMessage])
    await sql`update outbox_messages set payload = to_jsonb(repeat('x', 20000000))
      where message_id = ${huge?.messageId}`.execute(outbox.db)
    const publisher = await drain()
    expect(publisher.published.map(({ messageId }) => messageId)).to.deep.equal([next?.messageId])
    const dead = await outbox.db.selectFrom('dead_letters').select(['message_id', 'reason']).execute()
    expect(dead).to.deep.equal([{ message_id: huge?.messageId, reason: '20000002 bytes, more than 10000000' }])
    expect(await outbox.backlog()).to.equal(0)
  })

  it('makes a rejected message a dead letter with the broker’s reason, and publishes the next one of its key', async () => {
    const [bad, next] = messages(2, { key: 'k' })
    await append([bad as NewMessage, next as NewMessage])
    await pass(
      scriptedPublisher(({ messageId }) =>
        messageId === bad?.messageId ? { status: 'rejected', reason: '406 invalid message' } : { status: 'confirmed' },
      ),
    )
    const dead = await outbox.db.selectFrom('dead_letters').select(['message_id', 'source', 'reason']).execute()
    expect(dead).to.deep.equal([{ message_id: bad?.messageId, source: 'outbox', reason: '406 invalid message' }])
    expect(await outbox.backlog()).to.equal(0)
  })

  it('leaves nacked and unanswered messages in their lane, in order and without counting the attempt', async () => {
    const news = messages(3, { key: 'k' })
    await append(news)
    const publisher = scriptedPublisher((message, attempt) => {
      if (attempt > 1 || message.messageId === news[2]?.messageId) return { status: 'confirmed' }
      return message.messageId === news[0]?.messageId ? { status: 'nacked' } : { status: 'unknown', reason: 'deadline' }
    })
    await pass(publisher)
    const left = await outbox.db
      .selectFrom('outbox_messages')
      .select(['message_id', 'attempts'])
      .orderBy('id')
      .execute()
    expect(left).to.deep.equal(news.slice(0, 2).map(({ messageId }) => ({ message_id: messageId, attempts: 0 })))
    await drain(publisher)
    expect(publisher.published.slice(3).map(({ messageId }) => messageId)).to.deep.equal(
      news.slice(0, 2).map(({ messageId }) => messageId),
    )
    expect(await outbox.backlog()).to.equal(0)
  })

  it('declares the routing again for returned messages, and publishes them once more', async () => {
    await append(messages(2))
    const publisher = scriptedPublisher((_, attempt) =>
      attempt === 1 ? { status: 'returned', reason: 'NO_ROUTE' } : { status: 'confirmed' },
    )
    await pass(publisher)
    expect(publisher.redeclared).to.equal(1)
    expect(publisher.published).to.have.length(4)
    expect(await outbox.backlog()).to.equal(0)
  })

  it('leaves returned messages, without counting the attempt, when the routing cannot be declared again', async () => {
    await append(messages(2))
    for (const redeclare of [async () => false, () => new Promise<boolean>(() => {})]) {
      const publisher = scriptedPublisher(() => ({ status: 'returned', reason: 'NO_ROUTE' }))
      await pass({ ...publisher, redeclare }, 0, { ...LIMITS, confirmDeadlineMs: 1_200 })
      expect(publisher.published, 'nothing is published again').to.have.length(2)
      const left = await outbox.db.selectFrom('outbox_messages').select('attempts').execute()
      expect(left).to.deep.equal([{ attempts: 0 }, { attempts: 0 }])
    }
  })

  it('delays a message that stays unroutable, and makes it a dead letter after its last attempt', async () => {
    await append(messages(1))
    const publisher = scriptedPublisher(() => ({ status: 'returned', reason: 'NO_ROUTE' }))
    for (let attempt = 1; attempt < 20; attempt += 1) {
      await pass(publisher)
      const scheduled = await outbox.db.selectFrom('outbox_scheduled').select('attempts').executeTakeFirstOrThrow()
      expect(scheduled.attempts).to.equal(attempt)
      await outbox.db
        .updateTable('outbox_scheduled')
        .set({ due_at: new Date(0) })
        .execute()
      expect(await promoteDue(outbox.db, createTopics())).to.equal(1)
    }
    await pass(publisher)
    expect(await outbox.backlog()).to.equal(0)
    const dead = await outbox.db.selectFrom('dead_letters').selectAll().execute()
    expect(dead).to.have.length(1)
    expect(dead[0]).to.include({ source: 'outbox', reason: 'NO_ROUTE', attempts: 20, topic: 'thing.happened' })
  })

  it('schedules a message again when its topic and key have an unresolved dead letter', async () => {
    const news = messages(2, { key: 'k' })
    await append(news)
    await outbox.db.updateTable('outbox_messages').set({ attempts: 19 }).execute()
    await pass(scriptedPublisher(() => ({ status: 'returned', reason: 'NO_ROUTE' })))
    const ids = async (table: 'dead_letters' | 'outbox_scheduled') =>
      (await outbox.db.selectFrom(table).select('message_id').execute()).map((row) => row.message_id)
    expect([...(await ids('dead_letters')), ...(await ids('outbox_scheduled'))]).to.have.members(
      news.map(({ messageId }) => messageId),
    )
    expect(await ids('dead_letters')).to.have.length(1)
  })

  // Promise 7
  it('leaves its messages in the outbox when its session dies before COMMIT', async () => {
    await append(messages(5))
    const publisher = scriptedPublisher(async () => {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where state = 'idle in transaction' and datname = current_database()`.execute(outbox.db)
      return { status: 'confirmed' }
    })
    const failed = await pass(publisher).then(
      () => undefined,
      (error: Error) => error,
    )
    expect(failed).to.be.instanceOf(Error)
    expect(await outbox.backlog()).to.equal(5)
    // PostgreSQL ends the connection first, and releases the locks of the lanes after that.
    await eventually(async () => {
      await drain()
      expect(await outbox.backlog()).to.equal(0)
    })
  })
})

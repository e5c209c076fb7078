import { expect } from 'chai'
import { sql } from 'kysely'
import {
  appendMessages,
  createFloors,
  createTopics,
  type Floors,
  type NewMessage,
  runPass,
  type Topics,
} from '../src/index.ts'
import { createTestOutbox, LIMITS, messages, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

describe('outbox pass while a topic is refused', () => {
  let outbox: TestOutbox
  const refused = (count: number, extra: Partial<NewMessage> = {}) =>
    messages(count, { key: 'k', topic: 'refused', ...extra })
  const refusing = () => scriptedPublisher(({ topic }) => ({ status: topic === 'refused' ? 'nacked' : 'confirmed' }))
  let topics: Topics
  let floors: Floors
  let publisher: ReturnType<typeof refusing>
  beforeEach(async () => {
    outbox = await createTestOutbox()
    topics = createTopics()
    floors = createFloors()
    publisher = refusing()
  })
  afterEach(() => outbox.drop())

  const append = (news: readonly NewMessage[]) => outbox.db.transaction().execute((tx) => appendMessages(tx, news))
  const next = (limits = LIMITS) => runPass({ db: outbox.db, publisher, floors, topics, limits }, 0)
  const topicsOf = ({ dispositions }: Awaited<ReturnType<typeof next>>) =>
    Map.groupBy(dispositions, ({ message }) => message.topic)
  const scheduled = () =>
    outbox.db.selectFrom('outbox_scheduled').selectAll().orderBy('created_at').orderBy('id').execute()

  for (const mandatory of [true, false]) {
    // Promise 9
    it(`reads past refused messages, and moves them unchanged once other topics are confirmed, mandatory ${mandatory}`, async () => {
      await append(refused(200, { mandatory }))
      await sql`update outbox_messages set attempts = 7, created_at = now() - interval '1 hour'`.execute(outbox.db)
      const [behind] = messages(1, { key: 'k' }) as [NewMessage]
      expect((await next()).changes).to.deep.equal([{ topic: 'refused', change: 'refused', messages: 64 }])
      expect(await outbox.backlog(), 'all tried messages are refused').to.equal(200)
      await append([behind])
      // While all topics are refused, a pass reads no message of this one.
      expect(topicsOf(await next())).to.have.keys('thing.happened')
      const last = topicsOf(await next())
      expect(last.get('refused')?.map(({ action }) => action)).to.deep.equal(
        Array.from({ length: 16 }, () => ({ action: 'move', delayMs: 1_000 })),
      )
      expect(await outbox.backlog()).to.equal(200 - 16)
      const moved = await scheduled()
      expect(moved).to.have.length(16)
      for (const row of moved) {
        expect(row).to.include({ attempts: 7, refused: true, mandatory, topic: 'refused', key: 'k' })
        expect(Date.now() - row.created_at.getTime()).to.be.within(3_600_000, 3_700_000)
        expect(row.due_at.getTime() - Date.now()).to.be.within(-60_000, 1_000)
      }
    })
  }

  it('publishes the messages of a lane in order, of refused topics and of others', async () => {
    await append([...refused(1), ...messages(1, { key: 'other' })])
    await next()
    await append(messages(1, { key: 'other' }))
    await next()
    await append([...refused(1), ...messages(1, { key: 'k' })])
    const before = publisher.published.length
    await next()
    const ofLane = publisher.published.slice(before).filter(({ key }) => key === 'k')
    expect(ofLane.map(({ topic }) => topic)).to.include.members(['refused', 'thing.happened'])
    expect(ofLane.at(-1)?.topic).to.equal('thing.happened')
  })

  it('reads messages of other topics before large refused ones fill the size limit', async () => {
    const large = 'x'.repeat(600)
    await append(refused(20, { payload: large }))
    await next()
    const others = messages(3, { key: 'k' })
    await append(others)
    await next({ ...LIMITS, bytesMax: 1_000 })
    expect(publisher.published.map(({ messageId }) => messageId)).to.include.members(
      others.map(({ messageId }) => messageId),
    )
  })

  it('leaves no refused message below a floor, however few it reads', async () => {
    await append(refused(100))
    for (let round = 0; round < 30; round += 1) {
      await append(messages(2, { key: 'k', payload: round }))
      await next()
      if (round % 3 === 0) await append(refused(1))
    }
    publisher = scriptedPublisher()
    for (let round = 0; round < 40; round += 1) await next()
    expect(await outbox.backlog()).to.equal(0)
  })
})

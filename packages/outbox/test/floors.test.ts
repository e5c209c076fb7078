import { aMessage, eventually } from '@cashflow/testing'
import { expect } from 'chai'
import fc from 'fast-check'
import { sql } from 'kysely'
import { appendMessages, createFloors, createTopics, runPass, verifyFloors } from '../src/index.ts'
import { floorsHold } from './floors-hold.ts'
import { createTestOutbox, LIMITS, scriptedPublisher, type TestOutbox } from './test-outbox.ts'

describe('floors', () => {
  let outbox: TestOutbox
  before(async () => {
    outbox = await createTestOutbox()
  })
  after(() => outbox.drop())

  // Promise 8
  it('floors leave no message behind and keep each key in order, however late producers commit', async () => {
    await fc.assert(floorsHold(outbox), { numRuns: 15 })
  })

  it('floors move past deleted messages, so that their dead tuples are not read again', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const news = () => aMessage({ key: 'a', payload: null })
    const { rows } = await sql<{ last: string }>`select last_value::text as last from outbox_messages_id_seq`.execute(
      outbox.db,
    )
    const before = Number(rows[0]?.last)
    // Any transaction on the server holds a floor back, also one of another test, so the time that this takes varies.
    await eventually(
      async () => {
        await outbox.db.transaction().execute((tx) => appendMessages(tx, [news()]))
        await runPass(
          { db: outbox.db, publisher: scriptedPublisher(), floors, topics: createTopics(), limits: LIMITS },
          0,
        )
        expect(Math.max(...floors.view().map(({ floor }) => Number(floor)))).to.be.above(before)
      },
      { timeoutMs: 90_000 },
    )
  })

  it('forgets the floors when a message is found below one of them, and keeps them otherwise', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const lost = aMessage({ key: 'a', payload: 'lost' })
    await outbox.db.transaction().execute((tx) => appendMessages(tx, [lost]))
    const { rows } = await sql<{ lane: number; id: string }>`select lane, id from outbox_messages`.execute(outbox.db)
    const [{ lane, id } = { lane: 0, id: '0' }] = rows
    const pass = { xmin: 0n, lowestLeft: undefined, cut: false }
    for (const [xid, xmin] of [[1n], [2n], [3n, 3n]] as const)
      floors.observe(floors.view(), lane, { ...pass, xid, xmin: xmin ?? 0n, lastRead: BigInt(id) })
    expect(floors.view()[lane]?.floor).to.equal(BigInt(id))
    const publisher = scriptedPublisher()
    await runPass({ db: outbox.db, publisher, floors, topics: createTopics(), limits: LIMITS }, 0)
    expect(publisher.published, 'below the floor').to.have.length(0)

    const { signal } = new AbortController()
    expect(await verifyFloors(outbox.db, floors, signal)).to.deep.equal({ lane, floor: BigInt(id) })
    await runPass({ db: outbox.db, publisher, floors, topics: createTopics(), limits: LIMITS }, 0)
    expect(publisher.published.map(({ messageId }) => messageId)).to.deep.equal([lost.messageId])

    // The next message lies above the same floor.
    for (const [xid, xmin] of [[4n], [5n], [6n, 6n]] as const)
      floors.observe(floors.view(), lane, { ...pass, xid, xmin: xmin ?? 0n, lastRead: BigInt(id) })
    const view = floors.view()
    expect(view[lane]?.floor).to.equal(BigInt(id))
    await outbox.db.transaction().execute((tx) => appendMessages(tx, [aMessage({ key: 'a' })]))
    expect(await verifyFloors(outbox.db, floors, signal)).to.equal(undefined)
    expect(floors.view()).to.equal(view)
  })

  it('moves no floor while a producer that may hold a lower id is still open', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const late = await outbox.db.startTransaction().execute()
    const held = aMessage({ key: 'a', payload: 'late' })
    await appendMessages(late, [held])
    const publisher = scriptedPublisher()
    const pass = () => runPass({ db: outbox.db, publisher, floors, topics: createTopics(), limits: LIMITS }, 0)
    for (let round = 0; round < 6; round += 1) {
      await outbox.db.transaction().execute((tx) => appendMessages(tx, [aMessage({ key: 'a', payload: round })]))
      await pass()
    }
    await late.commit().execute()
    await pass()
    expect(publisher.published.at(-1)?.messageId).to.equal(held.messageId)
    expect(await outbox.backlog()).to.equal(0)
  })

  it('moves no floor past a message that was left in its lane', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const append = (payload: unknown) => {
      return outbox.db.transaction().execute((tx) => appendMessages(tx, [aMessage({ key: 'a', payload })]))
    }
    let refused = 8
    const publisher = scriptedPublisher(({ body }) => ({
      status: body === '"left"' && refused-- > 0 ? 'nacked' : 'confirmed',
    }))
    await append('left')
    for (let round = 0; round < 10; round += 1) {
      await append(round)
      await runPass({ db: outbox.db, publisher, floors, topics: createTopics(), limits: LIMITS }, 0)
    }
    expect(await outbox.backlog()).to.equal(0)
  })

  it('moves no floor past messages that the size limit kept back', async () => {
    await sql`truncate outbox_messages`.execute(outbox.db)
    const floors = createFloors()
    const news = Array.from({ length: 40 }, () => aMessage({ key: 'a', payload: 'x'.repeat(300) }))
    await outbox.db.transaction().execute((tx) => appendMessages(tx, news))
    const publisher = scriptedPublisher()
    // The first pass reads all messages; the size limit cuts the later passes short.
    const pass = (bytesMax: number, refuse = false) =>
      runPass(
        {
          db: outbox.db,
          publisher: refuse ? scriptedPublisher(() => ({ status: 'nacked' })) : publisher,
          floors,
          topics: createTopics(),
          limits: { ...LIMITS, bytesMax },
        },
        0,
      )
    await pass(1_000_000, true)
    for (let left = 40; left > 0; left = await outbox.backlog())
      expect((await pass(1_000)).dispositions).to.not.be.empty
    expect(new Set(publisher.published.map(({ messageId }) => messageId)).size).to.equal(40)
  })
})

describe('observation of a lane', () => {
  const seen = { lowestLeft: undefined, cut: false }

  it('moves the floor only if its pass began after the previous step', () => {
    const floors = createFloors()
    const early = floors.view()
    // Both passes began before any id was read. The first one reads id 10. A producer of id 9 may still be open, and may
    // have a younger xid than the second pass.
    floors.observe(early, 0, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
    floors.observe(early, 0, { ...seen, xid: 101n, xmin: 101n, lastRead: 11n })
    const later = floors.view()
    expect(later[0]).to.deep.equal({ generation: 0, floor: 0n, maxIdRead: 10n })
    floors.observe(later, 0, { ...seen, xid: 110n, xmin: 105n, lastRead: undefined })
    floors.observe(floors.view(), 0, { ...seen, xid: 120n, xmin: 110n, lastRead: undefined })
    expect(floors.view()[0]?.floor, 'xid 110 itself may be open').to.equal(0n)
    floors.observe(floors.view(), 0, { ...seen, xid: 121n, xmin: 111n, lastRead: undefined })
    expect(floors.view()[0]?.floor).to.equal(10n)
  })

  it('an observation of another lane sets the fence, and a pass that began earlier moves the floor if its snapshot is younger', () => {
    const floors = createFloors()
    floors.observe(floors.view(), 0, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
    const view = floors.view()
    floors.observe(view, 1, { ...seen, xid: 101n, xmin: 101n, lastRead: 11n })
    floors.observe(view, 0, { ...seen, xid: 102n, xmin: 101n, lastRead: 20n })
    expect(floors.view()[0]?.floor, 'xid 101 itself may be open').to.equal(0n)
    floors.observe(view, 0, { ...seen, xid: 102n, xmin: 102n, lastRead: 20n })
    expect(floors.view()[0]).to.deep.equal({ generation: 0, floor: 10n, maxIdRead: 20n })
  })

  it('ignores an observation of a lane after the floors were forgotten', () => {
    const floors = createFloors()
    const view = floors.view()
    floors.forget()
    floors.observe(view, 0, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
    expect(floors.view()[0]).to.deep.equal({ generation: 1, floor: 0n })
  })

  for (const [what, more, floor] of [
    ['the highest id read', {}, 10n],
    ['just below the lowest id that stays', { lowestLeft: 7n, lastRead: 12n }, 6n],
    ['the last id read, if the limit cut the read short', { cut: true, lastRead: 8n }, 8n],
    ['0, if the limit kept the whole lane back', { cut: true }, 0n],
  ] as const) {
    it(`moves the floor to ${what}`, () => {
      const floors = createFloors()
      floors.observe(floors.view(), 3, { ...seen, xid: 100n, xmin: 100n, lastRead: 10n })
      floors.observe(floors.view(), 3, { ...seen, xid: 101n, xmin: 101n, lastRead: undefined })
      floors.observe(floors.view(), 3, { ...seen, xid: 102n, xmin: 102n, lastRead: undefined, ...more })
      expect(floors.view()[3]?.floor).to.equal(floor)
    })
  }
})

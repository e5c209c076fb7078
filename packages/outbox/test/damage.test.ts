import { createUnreadableRows, openPool, type UnreadableRows } from '@cashflow/testing'
import { expect } from 'chai'
import { Kysely, PostgresDialect, sql } from 'kysely'
import {
  appendMessages,
  createFloors,
  createSpanSearch,
  createTopics,
  type OutboxTables,
  oldestMessage,
  promoteDue,
  scheduleMessages,
  verifyFloors,
} from '../src/index.ts'
import { createTestOutbox, messages, type TestOutbox } from './test-outbox.ts'

describe('outbox with rows that PostgreSQL cannot read', () => {
  let outbox: TestOutbox
  let rows: UnreadableRows | undefined
  let db: Kysely<OutboxTables>
  let met: { code: unknown; lane: number | undefined }[]
  const past = {
    isRowsOwn: (error: unknown) => error instanceof Error && 'code' in error && error.code === 'XX001',
    onUnreadable: (error: unknown, lane?: number) => void met.push({ code: (error as { code?: unknown }).code, lane }),
  }
  beforeEach(async () => {
    outbox = await createTestOutbox()
    met = []
  })
  afterEach(async () => {
    await db?.destroy()
    await rows?.drop()
    await outbox.drop()
  })

  async function damage(table: string, condition: string): Promise<void> {
    rows = await createUnreadableRows(outbox.url, { table, condition })
    db = new Kysely<OutboxTables>({ dialect: new PostgresDialect({ pool: openPool(rows.url) }) })
  }
  const schedule = (count: number) => outbox.db.transaction().execute((tx) => scheduleMessages(tx, messages(count), 0))
  /** Promotes until no more messages are moved. */
  async function promoteAll(search = createSpanSearch()): Promise<number> {
    let sum = 0
    const topics = createTopics()
    for (let moved = -1; moved !== 0; sum += moved) moved = await promoteDue(db, topics, search, past)
    return sum
  }

  // Promise 53
  it('moves all other scheduled messages, and the unreadable ones once they are repaired', async () => {
    await schedule(700)
    await damage('outbox_scheduled', 'id in (3, 350, 351)')
    const search = createSpanSearch()
    expect(await promoteAll(search)).to.equal(697)
    expect(search.blindSpots).to.be.within(1, 3)
    expect(met.every(({ code }) => code === 'XX001')).to.equal(true)
    await rows?.heal()
    expect(await promoteAll(search)).to.equal(3)
    expect(search.blindSpots).to.equal(0)
    expect(await outbox.backlog()).to.equal(700)
  })

  // Promise 53
  it('moves scheduled messages and other refused topics past an unreadable message of a refused topic', async () => {
    await schedule(9)
    await sql`update outbox_scheduled set topic = 'refused ' || id % 3, refused = id % 3 > 0`.execute(outbox.db)
    // The oldest message of the topic can be read, the next one cannot.
    await damage('outbox_scheduled', `topic = 'refused 1' and id > 1`)
    expect(await promoteAll()).to.equal(6)
    expect(met.length).to.be.above(0)
    const left = await outbox.db.selectFrom('outbox_scheduled').select('topic').execute()
    expect(left.map(({ topic }) => topic)).to.deep.equal(['refused 1', 'refused 1', 'refused 1'])
  })

  it('checks the floors of all other lanes when a lane cannot be read', async () => {
    await outbox.db.transaction().execute((tx) => appendMessages(tx, messages(300)))
    const floors = createFloors()
    await damage('outbox_messages', 'lane in (0, 5)')
    // All lanes get a floor, and only the last one has messages below it.
    const ids = await sql`delete from outbox_messages where lane not in (0, 5, 31)`.execute(outbox.db)
    expect(ids.numAffectedRows).to.not.equal(0n)
    const pass = { xmin: 0n, lowestLeft: undefined, cut: false, lastRead: 1_000n }
    for (let lane = 0; lane < 32; lane += 1)
      for (const [xid, xmin] of [[1n], [2n], [3n, 3n]] as const)
        floors.observe(floors.view(), lane, { ...pass, xid, xmin: xmin ?? 0n })
    const { signal } = new AbortController()
    expect(await verifyFloors(db, floors, signal, past)).to.deep.equal({ lane: 31, floor: 1_000n })
    expect(met).to.deep.equal([
      { code: 'XX001', lane: 0 },
      { code: 'XX001', lane: 5 },
    ])
  })

  it('finds the oldest message in all other lanes when a lane cannot be read', async () => {
    await outbox.db.transaction().execute((tx) => appendMessages(tx, messages(300)))
    await sql`update outbox_messages set created_at = now() - interval '1 hour' where lane = 7`.execute(outbox.db)
    await damage('outbox_messages', 'lane in (0, 5)')
    const oldest = await oldestMessage(db, createFloors(), past)
    expect(oldest).to.include({ lane: 7, topic: 'thing.happened', place: 'lane' })
    expect(met.map(({ lane }) => lane)).to.deep.equal([0, 5])
  })
})

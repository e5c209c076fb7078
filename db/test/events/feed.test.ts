import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { RestoredEventsError } from '../../src/events/restored.ts'
import { type FeedCursor, findEvents, readFeed } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { createReader, idsOf } from './feed-rig.ts'

const MINUTE = 60_000

describe('event feed', () => {
  let server: PrivatePostgres
  let store: TestStore
  before(async () => {
    // A server of its own: the feed waits for every transaction of the server, also of other tests.
    server = await startPrivatePostgres()
    store = await createTestStore(4, { name: 'payments', url: server.url, drop: () => server.stop() })
  })
  // Ids follow the time of storage, so each test begins without the events of the one before.
  beforeEach(() => sql`truncate payment_events restart identity`.execute(store.db))
  after(() => store?.drop())

  /** Stores events of one merchant, a second apart, the last one now. Every hundredth is a failure. */
  const storeEvents = (count: number, merchantId: string) =>
    sql`
      insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      select gen_random_uuid(), ${merchantId}, 1, case when n % 100 = 0 then 'payment.failed' else 'payment.created' end,
        'api', now() - (${count} - n) * interval '1 second'
      from generate_series(1, ${count}::int) as n`.execute(store.db)

  const stored = async (merchantId: string) => {
    const rows = await store.db
      .selectFrom('payment_events')
      .select('payment_id')
      .where('merchant_id', '=', merchantId)
      .orderBy('id')
      .execute()
    return rows.map(({ payment_id }) => payment_id)
  }

  it('event feed: has no events for a merchant without payments, and its cursor finds the first one later', async () => {
    const merchantId = randomUUID()
    const reader = createReader(store.db, { merchantId })
    expect(await reader.read()).to.deep.include({ events: [], hasMore: false, delayedMs: 0 })
    await storeEvents(1, merchantId)
    await storeEvents(1, DEFAULT_MERCHANT_ID)
    await reader.read()
    expect(reader.seen).to.deep.equal(await stored(merchantId))
  })

  it('event feed: shows an event with its payment', async () => {
    const payment = await store.insert('REF-1')
    const { events } = await readFeed(store.db, { merchantId: payment.merchantId, limit: 100 })
    const { reference, amountMinor, currency, status, createdAt, settledAt } = payment
    const event = {
      ...{ paymentId: payment.id, sequence: 1, type: 'payment.created', actor: 'api', requestId: 'r-1', createdAt },
      data: { amount: '100.50', currency: 'USD', reference: 'REF-1' },
      payment: { reference, amountMinor, currency, status, createdAt, settledAt },
    }
    expect(events.at(-1)).to.deep.equal(event)
    const { id: paymentId, merchantId } = payment
    expect(await findEvents(store.db, { merchantId, paymentId })).to.deep.equal([event])
    expect(await findEvents(store.db, { merchantId: randomUUID(), paymentId })).to.deep.equal([])
  })

  it('event feed: shows an event whose payment was deleted by hand, without the payment', async () => {
    const merchantId = randomUUID()
    await storeEvents(1, merchantId)
    const { events } = await readFeed(store.db, { merchantId, limit: 1 })
    expect(events.map(({ payment }) => payment)).to.deep.equal([null])
  })

  it('event feed: shows no payment of another merchant, also with an event that has its id', async () => {
    const { id: paymentId } = await store.insert()
    const merchantId = randomUUID()
    await storeEvents(1, merchantId)
    const events = store.db.updateTable('payment_events').set({ payment_id: paymentId, sequence: 2 })
    await events.where('merchant_id', '=', merchantId).execute()
    const { events: fed } = await readFeed(store.db, { merchantId, limit: 1 })
    for (const found of [fed, await findEvents(store.db, { merchantId, paymentId })])
      expect(found.map((event) => [event.paymentId, event.payment])).to.deep.equal([[paymentId, null]])
  })

  it('event feed: shows the events of one type, and goes on after pages that have none', async () => {
    const merchantId = randomUUID()
    await storeEvents(2_500, merchantId)
    const failed: number[] = []
    let after: FeedCursor | undefined
    for (let more = true; more; ) {
      const page = await readFeed(store.db, { merchantId, type: 'payment.failed', after, limit: 9 })
      expect(page.events.every(({ type }) => type === 'payment.failed')).to.equal(true)
      failed.push(page.events.length)
      after = page.next
      more = page.hasMore
    }
    expect(failed).to.deep.equal([9, 9, 7])
    const none = await readFeed(store.db, { merchantId, type: 'payment.succeeded', limit: 9 })
    expect(none).to.deep.include({ events: [], hasMore: true })
  })

  // Promise 88
  it('event feed: a cursor of another epoch goes on from ten minutes before its last event, with repeats and no gap', async () => {
    const merchantId = randomUUID()
    await storeEvents(3_000, merchantId)
    const all = await stored(merchantId)
    const reader = createReader(store.db, { merchantId })
    for (let page = 0; page < 20; page++) await reader.read(100)
    const after = { ...reader.cursor(), epoch: '1/00000001' }
    const again = createReader(store.db, { merchantId, after })
    while ((await again.read()).hasMore);
    expect(again.cursor().epoch).to.equal(reader.cursor().epoch)
    expect(again.seen).to.deep.equal(all.slice(-again.seen.length))
    // 600 are ten minutes, and the search stops up to a span of 100 earlier.
    expect(again.seen.length).to.be.within(1_000 + 600, 1_000 + 701)
    const first = createReader(store.db, { merchantId, after: { ...after, createdAtMs: Date.now() - 90 * MINUTE } })
    expect(idsOf(await first.read(2))).to.deep.equal(all.slice(0, 2))
    const late = createReader(store.db, { merchantId, after: { ...after, createdAtMs: Date.now() + 90 * MINUTE } })
    expect(idsOf(await late.read(2))).to.deep.equal([])
  })

  // Promise 88
  it('event feed: a cursor that is ahead of the server goes on as one of another epoch does', async () => {
    const merchantId = randomUUID()
    await storeEvents(10, merchantId)
    const { next } = await readFeed(store.db, { merchantId, limit: 10 })
    const ahead = { ...next, xid: String(BigInt(next.xid) + 1_000_000n) }
    const reader = createReader(store.db, { merchantId, after: ahead })
    await reader.read()
    expect(reader.seen).to.deep.equal(await stored(merchantId))
  })

  // Promise 88
  it('event feed: a cursor of another epoch fails, and searches no more, where a dump was restored under a running service', async () => {
    const merchantId = randomUUID()
    await storeEvents(3_000, merchantId)
    const { next } = await readFeed(store.db, { merchantId, limit: 10 })
    await sql`update payment_events set xid = (1000000000000 + id)::text::xid8`.execute(store.db)
    for (const after of [
      { ...next, createdAtMs: Date.now(), epoch: '1/00000001' },
      { ...next, createdAtMs: Date.now(), xid: '1000000000007' },
    ]) {
      const read = readFeed(store.db, { merchantId, after, limit: 10 }).catch((error: unknown) => error)
      expect(await read).to.be.instanceOf(RestoredEventsError)
    }
  })

  // Promise 88
  it('event feed: events with a wrong time do not mislead a cursor of another epoch', async () => {
    const merchantId = randomUUID()
    await storeEvents(1_500, merchantId)
    const all = await stored(merchantId)
    // Only one in 50 of the events that the reader has not seen has its time.
    const wrong = all.filter((_, index) => index >= 300 && index % 50 !== 0)
    const times = store.db.updateTable('payment_events').set({ created_at: new Date('2001-01-01') })
    await times.where('payment_id', 'in', wrong).execute()
    const reader = createReader(store.db, { merchantId })
    for (let page = 0; page < 3; page++) await reader.read(100)
    const again = createReader(store.db, { merchantId, after: { ...reader.cursor(), epoch: '1/00000001' } })
    while ((await again.read()).hasMore);
    expect(again.seen).to.include.members(all.slice(300))
  })
})

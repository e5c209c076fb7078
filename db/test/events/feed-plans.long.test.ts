import { randomUUID } from 'node:crypto'
import { startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { hasRestoredXids } from '../../src/events/restored.ts'
import { type FeedCursor, findEvents, readFeed } from '../../src/index.ts'
import { openExplained } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const MERCHANT = randomUUID()
const STORED = 200_000
/** Events of a transaction. The xids have to stay below those of a new server. */
const TOGETHER = 640
const LIMIT = 20
/** A page descends the indexes of events twice and of payments once for each event, and finds its rows in pages of their own. */
const PAGES_MAX = 400

describe('event feed', () => {
  let store: TestStore
  beforeEach(async () => {
    // A server of its own: the feed waits for every transaction of the server, also of other tests.
    const server = await startPrivatePostgres()
    store = await createTestStore(2, { name: 'payments', url: server.url, drop: () => server.stop() }, 600_000)
    await sql`alter table payment_events set (autovacuum_enabled = off)`.execute(store.db)
  })
  afterEach(() => store?.drop())

  /** Stores events of two merchants. One in 5,000 of a merchant is a failure. */
  const fill = () =>
    sql`
      insert into payment_events (xid, payment_id, merchant_id, sequence, type, actor, created_at)
      select (1 + n / ${TOGETHER})::text::xid8, gen_random_uuid(),
        case when n % 2 = 0 then ${MERCHANT}::uuid else '00000000-0000-7000-8000-000000000001' end, 1,
        case when n % 10000 = 0 then 'payment.failed' when n % 4 = 0 then 'payment.created' else 'payment.succeeded' end,
        'api', now() - (${STORED} - n) * interval '10 milliseconds'
      from generate_series(1, ${STORED}::int) n`.execute(store.db)

  const STATES: Readonly<Record<string, { before: () => Promise<unknown>; after: () => Promise<unknown> }>> = {
    'fresh statistics': {
      before: () => fill().then(() => sql`vacuum analyze payment_events`.execute(store.db)),
      after: async () => {},
    },
    'no statistics': { before: fill, after: async () => {} },
    'plans that were made before the first event': { before: async () => {}, after: fill },
  }

  // Promise 86
  for (const [state, { before, after }] of Object.entries(STATES))
    it(`event feed: a page reads one row more than it shows, and one of a type at most 1,000, with ${state}`, async () => {
      await before()
      const { db, readBy } = await openExplained(store.db)
      const page = (after?: FeedCursor, type?: string) =>
        readFeed(db, { merchantId: MERCHANT, after, type, limit: LIMIT })
      await page()
      await after()
      const middle = { ...(await page()).next, xid: String(Math.round(STORED / TOGETHER / 2)), id: '0' }
      const end = { ...middle, xid: String(Math.ceil(STORED / TOGETHER) + 1) }
      const rowsBy = async (work: () => Promise<unknown>) => {
        const { rowsOf, indexes, pages } = await readBy(work)
        expect(indexes).to.include('payment_events_feed').and.not.include('Seq Scan')
        expect(pages).to.be.below(PAGES_MAX + (rowsOf.payment_events ?? 0))
        return rowsOf.payment_events
      }
      for (const from of [undefined, middle]) {
        expect(await rowsBy(() => page(from))).to.equal(LIMIT + 1)
        // Half of the merchant's events have this type.
        expect(await rowsBy(() => page(from, 'payment.created'))).to.be.at.most(2 * (LIMIT + 1))
        expect(await rowsBy(() => page(from, 'payment.failed'))).to.equal(1_000)
      }
      expect(await rowsBy(() => page(end))).to.equal(0)
      expect(await rowsBy(() => hasRestoredXids(db))).to.equal(0)
      const [event] = (await page(middle)).events
      expect((await readBy(() => page(middle))).indexes).to.include('payments_pkey')
      const { rowsOf, indexes } = await readBy(() =>
        findEvents(db, { merchantId: MERCHANT, paymentId: event?.paymentId ?? '' }),
      )
      expect(rowsOf.payment_events).to.equal(1)
      expect(indexes).to.include('payments_pkey').and.not.include('Seq Scan')
      await db.destroy()
    }).timeout(120_000)
})

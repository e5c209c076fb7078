import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { listPayments, type PaymentListOptions } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { openExplained } from './explained-session.ts'

const OTHER_MERCHANT = '00000000-0000-7000-8000-000000000002'
// LIST_PAYMENTS=5000000 measures a filled table by hand.
const STORED = Number(process.env.LIST_PAYMENTS ?? 60_000)
/** The time at which a part of all payments was stored. */
const timeAt = (part: number) => new Date(Date.UTC(2026, 0, 1) + Math.floor((part * STORED) / 3) * 60_000).toISOString()
const LIMIT = 20
// Each part and each range of unknown currencies is one descent of the index: 3 pages, and up to 2 more if the session found
// the root when the index was small. Each row is one page more.
const PAGES_OF_DESCENT = 5

const textOf = (prefix: string, n: number) => `${prefix}${String(n).padStart(8, '0')}`

/** Filters, each with the value that it has where it is set. */
const FILTERS = {
  reference: textOf('R', STORED / 2 + 1),
  idempotencyKey: textOf('K', STORED / 2 + 1),
  status: 'SUCCESS',
  currency: 'USD',
  createdFrom: timeAt(0.3),
  createdTo: timeAt(0.7),
  after: { createdAt: timeAt(0.6), id: '80000000-0000-7000-8000-000000000000' },
} as const

const COMBINATIONS = Object.entries(FILTERS).reduce<Partial<typeof FILTERS>[]>(
  (combinations, [name, value]) => combinations.flatMap((some) => [some, { ...some, [name]: value }]),
  [{}],
)

describe('list of payments', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2, undefined, 0)
  })
  afterEach(() => store.drop())

  /** Stores payments of two merchants, with ids in the order of their times. PENDING ones are the oldest, and ETB ones are few. */
  const fill = (count: number) =>
    sql`
      insert into payments (id, merchant_id, reference, idempotency_key, amount_minor, currency, status, created_at, settled_at)
      select (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, case n % 4 when 0 then ${OTHER_MERCHANT}::uuid else ${DEFAULT_MERCHANT_ID}::uuid end,
        'R' || lpad(n::text, 8, '0'), 'K' || lpad(n::text, 8, '0'), 1, currency, status, created_at, case when status <> 'PENDING' then created_at end
      from (
        select n, timestamptz '2026-01-01Z' + n / 3 * interval '1 minute' as created_at,
          case when n % 50 = 0 then 'ETB' else 'USD' end as currency,
          case when n < ${STORED}::int / 10 then 'PENDING' when n % 3 = 0 then 'FAILED' else 'SUCCESS' end as status
        from generate_series(1, ${count}::int) n) given
      on conflict do nothing`.execute(store.db)

  const STATES: Readonly<Record<string, { before: () => Promise<unknown>; after: () => Promise<unknown> }>> = {
    'fresh statistics': {
      before: () => fill(STORED).then(() => sql`vacuum analyze payments`.execute(store.db)),
      after: async () => {},
    },
    'no statistics': { before: () => fill(STORED), after: async () => {} },
    'plans that were made before the first payment': { before: async () => {}, after: () => fill(STORED) },
    ...Object.fromEntries(
      [0, 1, 40].map((few) => [
        `plans and statistics of ${few} payments`,
        {
          before: () => fill(few).then(() => sql`vacuum analyze payments`.execute(store.db)),
          after: () => fill(STORED),
        },
      ]),
    ),
  }

  for (const [state, { before, after }] of Object.entries(STATES)) {
    // Promise 82
    it(`list of payments: reads only its page, for every combination of filters, with ${state}`, async () => {
      await sql`alter table payments set (autovacuum_enabled = off)`.execute(store.db)
      await before()
      const { db, readBy } = await openExplained(store.db)
      const list = (some: Partial<PaymentListOptions>) =>
        listPayments(db, { merchantId: DEFAULT_MERCHANT_ID, limit: LIMIT, ...some })
      for (const some of COMBINATIONS) await list(some)
      await after()
      let found = 0
      let worstMs = 0
      for (const some of COMBINATIONS) {
        const { indexes, rows, pages, durationMs } = await readBy(async () => {
          found = (await list(some)).length
        })
        worstMs = Math.max(worstMs, durationMs)
        const byReference = 'reference' in some && 'payments_reference_bytes'
        const byKey = 'idempotencyKey' in some && 'payments_idempotency_key_bytes'
        const name = JSON.stringify(some)
        expect([...indexes], name).to.deep.equal([byReference || byKey || 'payments_lists'])
        const pairs = byReference || byKey ? 1 : ('status' in some ? 1 : 3) * ('currency' in some ? 1 : 2)
        const ranges = byReference || byKey || 'currency' in some ? 0 : ('status' in some ? 1 : 3) * 3
        expect(rows, name).to.be.at.most(found + pairs)
        expect(pages, name).to.be.at.most((pairs + ranges) * PAGES_OF_DESCENT + rows)
        expect(found, name).to.equal(byReference || byKey ? 1 : LIMIT)
      }
      const { rows } = await sql<{ statement: string }>`
        select statement from pg_prepared_statements where statement like '%"payments"%'`.execute(db)
      expect(rows).to.have.length.within(1, 8)
      // With as few payments as in the ordinary run, the time says nothing about an index.
      if (STORED >= 5_000_000) expect(worstMs).to.be.below(10)
      console.log(`      ${COMBINATIONS.length} lists, the slowest took PostgreSQL ${worstMs} ms`)
      await db.destroy()
    }).timeout(120_000 + STORED)
  }
})

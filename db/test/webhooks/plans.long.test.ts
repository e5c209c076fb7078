import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  claimDeliveries,
  fanOut,
  lookForWebhooks,
  pruneDeliveries,
  replayPage,
  settleDeliveries,
} from '../../src/webhooks.ts'
import { openExplained } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const ENDPOINTS = 1_000
const DELIVERIES = 100_000
const DUE = 20
const FIRST = '00000000-0000-0000-0000-000000000000'

describe('plans of webhooks', () => {
  let store: TestStore
  beforeEach(async () => {
    const server = await startPrivatePostgres()
    store = await createTestStore(2, { name: 'payments', url: server.url, drop: () => server.stop() }, 600_000)
  })
  afterEach(() => store?.drop())

  /** 1,000 endpoints with 100 deliveries each: most are finished, some are due later, and 20 endpoints have one that is due. */
  async function fill(): Promise<void> {
    await sql`
      insert into webhook_endpoints (id, merchant_id, url, ordering, secret, secret_key_id)
      select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, ${DEFAULT_MERCHANT_ID}::uuid, 'http://127.0.0.1', 'payment', '', 'k'
      from generate_series(1, ${ENDPOINTS}::int) n`.execute(store.db)
    await sql`
      insert into webhook_queues (endpoint_id, merchant_id, due_at, is_failing)
      select id, merchant_id, case when n <= ${DUE} then now() else 'infinity' end, n % 2 = 0
      from (select *, row_number() over (order by id) as n from webhook_endpoints) e`.execute(store.db)
    await sql`
      insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, status, due_at, finished_at)
      select ('00000000-0000-0000-0000-' || lpad((1 + n % ${ENDPOINTS})::text, 12, '0'))::uuid, ${DEFAULT_MERCHANT_ID}::uuid,
        gen_random_uuid(), 1, 'payment.created', now(), case when n % 10 = 0 then 'pending' else 'succeeded' end,
        case when n < ${ENDPOINTS} then now() else now() + interval '1 hour' end,
        case when n % 10 = 0 then null else now() end
      from generate_series(1, ${DELIVERIES}::int) n`.execute(store.db)
    await sql`
      insert into webhook_cursors (merchant_id, epoch, xid, id, reached_at)
      select ${DEFAULT_MERCHANT_ID}::uuid, system_identifier || '', '1', 0, now() from pg_control_system()`.execute(
      store.db,
    )
  }

  const STATES = {
    'fresh statistics': {
      before: () => fill().then(() => sql`vacuum analyze`.execute(store.db)),
      after: async () => {},
    },
    'plans that were made before the first delivery': { before: async () => {}, after: fill },
  } as const

  for (const [state, { before, after }] of Object.entries(STATES))
    it(`webhooks: every statement finds its rows by indexes among 100,000 deliveries of 1,000 endpoints, with ${state}`, async () => {
      await before()
      const { db, readsBy } = await openExplained(store.db)
      const claim = () =>
        claimDeliveries(db, { token: randomUUID(), deliveriesMax: 64, failingMax: 16, window: 8, leaseMs: 30_000 })
      const work = {
        look: () => lookForWebhooks(db, { after: FIRST, merchantsMax: 32 }),
        'fan-out': () => fanOut(db, { merchantIds: [DEFAULT_MERCHANT_ID], eventsMax: 100, bodyOf: () => '{}' }),
        claim,
        settle: () =>
          claim().then(({ deliveries }) =>
            settleDeliveries(
              db,
              deliveries.map((delivery) => ({
                ...delivery,
                ...{
                  durationMs: 1,
                  status: 204,
                  error: undefined,
                  answer: '',
                  verdict: { kind: 'succeeded' } as const,
                },
              })),
            ),
          ),
        replay: () => replayPage(db, FIRST, { eventsMax: 100, unfinishedMax: 100, bodyOf: () => '{}' }),
        prune: () => pruneDeliveries(db, { keptMs: 86_400_000, limit: 100 }),
      }
      for (const run of Object.values(work)) await run()
      await after()
      for (const [name, run] of Object.entries(work)) {
        const reads = await readsBy(run)
        for (const { indexes, rowsOf } of reads) {
          // A look reads the cursor of each merchant, in no order of an index.
          if (name !== 'look') expect([...indexes], name).not.to.include.members(['Seq Scan'])
          expect(rowsOf.webhook_deliveries ?? 0, `deliveries read by ${name}`).to.be.below(5_000)
        }
      }
      await db.destroy()
    }).timeout(180_000)
})

import { countDeadLetters, outboxBacklog } from '@cashflow/outbox'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { readPending } from '../../src/facts/pending.ts'
import { readSettled } from '../../src/facts/settled.ts'
import { readWebhooks } from '../../src/facts/webhooks.ts'
import type { Tables } from '../../src/index.ts'
import { countInstances } from '../../src/instances/instances.ts'
import { openExplained } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

// FACTS_ROWS=1000000 measures filled tables by hand.
const ROWS = Number(process.env.FACTS_ROWS ?? 60_000)
const READ_MAX = 10_001

const STATEMENTS: Readonly<Record<string, (db: Kysely<Tables>) => Promise<unknown>>> = {
  backlog: outboxBacklog,
  'PENDING payments': readPending,
  'payments that were settled in time': (db) => readSettled(db, 0),
  'dead letters': (db) => countDeadLetters(db, { limit: READ_MAX }),
  processes: countInstances,
  webhooks: readWebhooks,
}

describe('facts of full tables', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore(2, undefined, 0)
  })
  afterEach(() => store.drop())

  /**
   * Stores messages in lanes, due and refused ones, payments of which every fifth is PENDING, dead letters, processes, and
   * merchants with an event and a webhook endpoint each.
   */
  async function fill(): Promise<void> {
    const message = `(n % 32)::int2, gen_random_uuid(), n::text, 'topic ' || n % 3, '{}'`
    const merchant = `(lpad(to_hex(n), 12, '0') || '70008000000000000002')::uuid`
    for (const statement of [
      `insert into outbox_messages (lane, message_id, key, topic, payload) select ${message}`,
      `insert into outbox_scheduled (lane, message_id, key, topic, payload, due_at, refused) select ${message}, now(), n % 2 = 0`,
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, settled_at, redrive_at)
        select (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000000000000000')::uuid, '00000000-0000-7000-8000-000000000001',
          n::text, 1, 'USD', case n % 5 when 0 then 'PENDING' else 'SUCCESS' end, to_timestamp(1700000000 + n / 1000.0),
          case when n % 5 > 0 then to_timestamp(1700000000 + n / 1000.0) end, case n % 5 when 0 then now() + n * interval '1 ms' end`,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason) select ${message}, 'worker', 'r'`,
      `insert into instances (id, role, instance, version, started_at, counters)
        select gen_random_uuid(), 'api', 'i', '1', now(), '{}'`,
      `insert into merchants (id, name) select ${merchant}, 'm ' || n`,
      `insert into webhook_cursors (merchant_id, epoch, xid, id, reached_at) select ${merchant}, 'e', '0', 0, now()`,
      `insert into webhook_endpoints (id, merchant_id, url, ordering, secret, secret_key_id, disabled_at, disabled_reason)
        select ${merchant}, ${merchant}, 'https://example.com', 'none', '', 'k',
          case n % 3 when 0 then now() end, case n % 3 when 0 then 'gone' end`,
      `insert into webhook_queues (endpoint_id, merchant_id, is_enabled, is_failing, due_at)
        select ${merchant}, ${merchant}, n % 3 > 0, n % 3 = 1, now()`,
      `insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at)
        select ${merchant}, ${merchant}, gen_random_uuid(), n, 'payment.created', now()`,
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor)
        select (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000000000000000')::uuid, ${merchant}, 1, 'payment.created', 'api'`,
    ])
      await sql`${sql.raw(statement)} from generate_series(1, ${sql.lit(ROWS)}) n`.execute(store.db)
  }
  const analyze = () =>
    sql`vacuum analyze outbox_messages, outbox_scheduled, payments, dead_letters, instances, payment_events,
      webhook_cursors, webhook_endpoints, webhook_queues, webhook_deliveries`.execute(store.db)

  const STATES: Readonly<Record<string, { before: () => Promise<unknown>; after: () => Promise<unknown> }>> = {
    'fresh statistics': { before: () => fill().then(analyze), after: async () => {} },
    'no statistics': { before: fill, after: async () => {} },
    'plans that were made when the tables were empty': { before: analyze, after: fill },
  }

  // Promise 102
  for (const [state, { before, after }] of Object.entries(STATES))
    it(`facts: each statement reads at most 10,001 rows of a full table, by an index, with ${state}`, async () => {
      await before()
      const { db, readsBy } = await openExplained(store.db)
      for (const execute of Object.values(STATEMENTS)) await execute(db)
      await after()
      for (const [name, execute] of Object.entries(STATEMENTS)) {
        const reads = await readsBy(() => execute(db))
        expect(reads, name).not.to.have.length(0)
        for (const { rowsOf, indexes } of reads) {
          for (const [table, rows] of Object.entries(rowsOf)) expect(rows, `${name}: ${table}`).to.be.at.most(READ_MAX)
          for (const index of indexes)
            expect(index, name).to.match(
              /_pkey$|^payments_redrive$|^outbox_scheduled_|^dead_letters_|^payment_events_feed$|^webhook_/,
            )
        }
      }
      await db.destroy()
    })
})

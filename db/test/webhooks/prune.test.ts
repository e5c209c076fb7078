import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { pruneDeliveries } from '../../src/webhooks.ts'
import { eventValues, INSERT_EVENT } from '../events/feed-rig.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { fanOutAll, finishAll, newEndpoint } from './webhook-rig.ts'

describe('pruning of webhook deliveries', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('prune: deletes the payload of an event whose last deliveries two processes delete at the same time', async () => {
    const { db, database } = store
    const endpoints = [await newEndpoint(db, DEFAULT_MERCHANT_ID), await newEndpoint(db, DEFAULT_MERCHANT_ID)]
    const session = await openClient(database.url)
    const prune = () => pruneDeliveries(db, { keptMs: 0, limit: 1 })
    try {
      await session.query(INSERT_EVENT, [...eventValues()])
      await fanOutAll(db, DEFAULT_MERCHANT_ID)
      for (const { id } of endpoints) await finishAll(db, id)
      await session.query(`insert into webhook_attempts (endpoint_id, delivery_id, at, duration_ms)
        select endpoint_id, id, now(), 1 from webhook_deliveries order by finished_at limit 1`)
      // The first process waits for this row before it commits.
      await session.query('begin; select from webhook_attempts for update')
      const first = prune()
      await eventually(async () => {
        const waits = await session.query(`select from pg_stat_activity where wait_event_type = 'Lock'
          and datname = current_database()`)
        expect(waits.rowCount).to.equal(1)
      })
      await prune()
      await session.query('commit')
      expect(await first).to.equal(1)
      while ((await prune()) > 0);
      for (const table of ['webhook_deliveries', 'webhook_payloads'] as const)
        expect(await db.selectFrom(table).selectAll().execute(), table).to.deep.equal([])
    } finally {
      await session.end()
    }
  })
})

import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { claimDeliveries } from '../../src/webhooks.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant } from './webhook-rig.ts'

describe('replays that wait for others of their payments', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // Promise 118
  it('webhooks: replayed events behind those that wait for an earlier one are sent, although no attempt runs', async () => {
    const { db } = store
    const merchantId = await newMerchant(db)
    const { id: endpointId } = await newEndpoint(db, merchantId)
    // As many as a claim may have are due first, and each has an earlier event that is due later.
    await sql`insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, is_replay, due_at)
      select ${endpointId}::uuid, ${merchantId}::uuid, md5(n::text)::uuid, sequence, 'payment.created', now(), true,
        now() - sequence * interval '1 second'
      from generate_series(1, 4) n, generate_series(1, 2) sequence`.execute(db)
    await db
      .updateTable('webhook_queues')
      .set({ is_failing: false, due_at: new Date() })
      .where('endpoint_id', '=', endpointId)
      .execute()
    const claim = () =>
      claimDeliveries(db, { token: randomUUID(), deliveriesMax: 64, failingMax: 16, window: 8, leaseMs: 30_000 })
    expect(await claim()).to.deep.equal({ deliveries: [], isMore: true })
    const { deliveries } = await claim()
    expect(deliveries.map(({ sequence }) => sequence)).to.deep.equal([1, 1, 1, 1])
  })
})

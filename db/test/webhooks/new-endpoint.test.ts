import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { claimDeliveries, settleDeliveries } from '../../src/webhooks.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant } from './webhook-rig.ts'

const SUCCEEDED = { durationMs: 1, status: 204, error: undefined, answer: '', verdict: { kind: 'succeeded' } } as const

describe('a new webhook endpoint next to busy ones', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  async function addDeliveries(endpointId: string, count: number): Promise<void> {
    await sql`insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at)
      select ${endpointId}::uuid, ${randomUUID()}::uuid, gen_random_uuid(), 1, 'payment.created', now()
      from generate_series(1, ${count}::int)`.execute(store.db)
    await store.db
      .updateTable('webhook_queues')
      .set({ due_at: new Date() })
      .where('endpoint_id', '=', endpointId)
      .execute()
  }

  // Promise 123
  it('webhooks: a new endpoint gets its first delivery also while busy endpoints could have all free sockets', async () => {
    const { db } = store
    const merchantId = await newMerchant(db)
    for (let n = 0; n < 10; n++) await addDeliveries((await newEndpoint(db, merchantId)).id, 100)
    await db.updateTable('webhook_queues').set({ is_failing: false }).execute()
    const { id } = await newEndpoint(db, merchantId)
    await addDeliveries(id, 1)
    const served: string[] = []
    for (let round = 0; round < 5; round++) {
      const options = { deliveriesMax: 8, failingMax: 2, window: 8, leaseMs: 30_000 }
      const { deliveries } = await claimDeliveries(db, { ...options, token: randomUUID() })
      expect(deliveries.length).to.be.within(4, 8)
      served.push(...deliveries.map(({ endpointId }) => endpointId))
      await settleDeliveries(
        db,
        deliveries.map((delivery) => ({ ...delivery, ...SUCCEEDED })),
      )
    }
    expect(served).to.include(id)
  })
})

import { expect } from 'chai'
import { updateEndpoint } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant } from './webhook-rig.ts'

describe('a webhook endpoint with a new URL', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('webhook endpoint: a new URL is not held by what the former one has answered', async () => {
    const { db } = store
    const merchantId = await newMerchant(db)
    const { id, url } = await newEndpoint(db, merchantId)
    const queue = db.selectFrom('webhook_queues').selectAll().where('endpoint_id', '=', id)
    const hour = 3_600_000
    await db
      .updateTable('webhook_queues')
      .set({ held_until: new Date(Date.now() + 20 * hour), due_at: new Date(Date.now() + 20 * hour) })
      .set({ is_failing: true, failures: 12, failing_since: new Date(Date.now() - 119 * hour) })
      .where('endpoint_id', '=', id)
      .execute()
    const held = await queue.executeTakeFirstOrThrow()
    await updateEndpoint(db, { merchantId, id, url, description: 'the same URL' })
    expect(await queue.executeTakeFirstOrThrow()).to.deep.equal(held)
    await updateEndpoint(db, { merchantId, id, url: 'https://new.example.com/' })
    const { due_at, ...state } = await queue.executeTakeFirstOrThrow()
    expect(state).to.include({ held_until: null, failing_since: null, failures: 0, is_failing: true })
    expect(Number(due_at)).to.be.at.most(Date.now() + 1_000)
  })
})

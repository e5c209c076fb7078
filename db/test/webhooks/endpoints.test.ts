import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import {
  createEndpoint,
  deleteEndpoint,
  findEndpoint,
  listDeliveries,
  listEndpoints,
  rotateSecret,
  startReplay,
  updateEndpoint,
} from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant, SEALED } from './webhook-rig.ts'

describe('stored webhook endpoints', () => {
  let store: TestStore
  let merchantId: string
  before(async () => {
    store = await createTestStore()
  })
  beforeEach(async () => {
    merchantId = await newMerchant(store.db)
  })
  after(() => store.drop())

  const count = async () => (await listEndpoints(store.db, { merchantId, limit: 100 })).length

  it('webhook endpoint: of creations at the same time only as many succeed as the merchant may have', async () => {
    for (let n = 1; n <= 15; n++) await newEndpoint(store.db, merchantId)
    const settings = { url: 'https://hooks.example.com/', description: null, types: null, ordering: 'none' } as const
    const created = await Promise.all(
      Array.from({ length: 6 }, () =>
        createEndpoint(store.db, { ...settings, merchantId, id: randomUUID(), secret: SEALED }),
      ),
    )
    expect(created.map(({ outcome }) => outcome).toSorted()).to.deep.equal(['created', ...Array(5).fill('limit')])
    expect(await count()).to.equal(16)
  })

  it('webhook endpoint: first creations of a merchant at the same time all succeed', async () => {
    await Promise.all(Array.from({ length: 8 }, () => newEndpoint(store.db, merchantId)))
    expect(await count()).to.equal(8)
  })

  it('webhook endpoint: a repeated creation with the same id finds the endpoint, also at the limit', async () => {
    const id = randomUUID()
    const first = await newEndpoint(store.db, merchantId, { id })
    for (let n = 2; n <= 16; n++) await newEndpoint(store.db, merchantId)
    expect(await newEndpoint(store.db, merchantId, { id })).to.deep.equal(first)
    expect(await count()).to.equal(16)
  })

  // Promise 127
  it('webhook endpoint: another merchant finds, changes, rotates, replays and deletes nothing', async () => {
    const { db } = store
    const endpoint = await newEndpoint(db, merchantId)
    const name = { merchantId: await newMerchant(db), id: endpoint.id }
    const stored = () => db.selectFrom('webhook_endpoints').selectAll().where('id', '=', endpoint.id).execute()
    const before = await stored()
    expect(await findEndpoint(db, name)).to.equal(undefined)
    expect(await listEndpoints(db, { merchantId: name.merchantId, limit: 100 })).to.deep.equal([])
    expect(await updateEndpoint(db, { ...name, url: 'https://thief.example.com/', isEnabled: false })).to.equal(
      undefined,
    )
    expect(await rotateSecret(db, { ...name, secret: SEALED, overlapMs: 0 })).to.equal(undefined)
    const replay = { id: randomUUID(), start: { from: 'time', time: new Date(0) } } as const
    expect(
      (await startReplay(db, { ...replay, merchantId: name.merchantId, endpointId: endpoint.id })).outcome,
    ).to.equal('unknown-endpoint')
    expect(await deleteEndpoint(db, name)).to.equal(false)
    expect(await stored()).to.deep.equal(before)
    const taken = { ...name, secret: SEALED, url: 'https://x.example.com/', description: null, types: null }
    await createEndpoint(db, { ...taken, ordering: 'none' }).then(
      () => expect.fail('an id that another merchant has was given'),
      () => undefined,
    )
    expect(await stored()).to.deep.equal(before)
  })

  it('webhook endpoint: enabling it ends what it is held back by, and tries what is left in small steps', async () => {
    const { db } = store
    const { id } = await newEndpoint(db, merchantId)
    await updateEndpoint(db, { merchantId, id, isEnabled: false })
    await db
      .updateTable('webhook_queues')
      .set({ failing_since: new Date(), failures: 40, held_until: new Date('2100-01-01'), due_at: 'infinity' })
      .where('endpoint_id', '=', id)
      .execute()
    await updateEndpoint(db, { merchantId, id, isEnabled: true })
    const queue = await db
      .selectFrom('webhook_queues')
      .selectAll()
      .where('endpoint_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(queue).to.include({ is_enabled: true, failing_since: null, failures: 0, held_until: null, is_ramped: true })
    expect(queue).to.include({ is_failing: true, recovering_since: null })
    expect(Number(queue.due_at)).to.be.at.most(Date.now() + 60_000)
  })

  it('webhook endpoint: a repeated rotation with the same secret keeps the former secret', async () => {
    const { db } = store
    const { id } = await newEndpoint(db, merchantId)
    const rotation = { merchantId, id, secret: { sealed: Buffer.from('new'), keyId: 'n' }, overlapMs: 60_000 }
    await rotateSecret(db, rotation)
    await rotateSecret(db, rotation)
    const row = await db.selectFrom('webhook_endpoints').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect([row.secret.toString(), row.former_secret?.toString()]).to.deep.equal(['new', 'sealed'])
  })

  it('webhook endpoint: a deleted one has no deliveries in a list, and its replay is finished', async () => {
    const { db } = store
    const { id } = await newEndpoint(db, merchantId)
    const replay = { merchantId, endpointId: id, id: randomUUID() }
    await startReplay(db, { ...replay, start: { from: 'time', time: new Date(0) } })
    await db
      .insertInto('webhook_deliveries')
      .values({
        ...{ endpoint_id: id, merchant_id: merchantId, payment_id: randomUUID(), sequence: 1 },
        ...{ type: 'payment.created', event_at: new Date() },
      })
      .execute()
    expect(await listDeliveries(db, { merchantId, limit: 10 })).to.have.length(1)
    await deleteEndpoint(db, { merchantId, id })
    expect(await listDeliveries(db, { merchantId, limit: 10 })).to.deep.equal([])
    const { finished_at } = await db
      .selectFrom('webhook_replays')
      .select('finished_at')
      .where('id', '=', replay.id)
      .executeTakeFirstOrThrow()
    expect(finished_at).to.be.instanceOf(Date)
  })
})

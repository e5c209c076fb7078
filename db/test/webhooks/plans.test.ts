import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  deleteEndpoint,
  findEventDeliveries,
  listDeliveries,
  listEndpoints,
  redeliver,
  rotateSecret,
  startReplay,
  updateEndpoint,
} from '../../src/index.ts'
import { openExplained } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant, SEALED } from './webhook-rig.ts'

const DELIVERIES = 2_000
/** The indexes of the tables, those of the server's own, and the node of a write. */
const BY_INDEX = /^(webhook_|payment_events_|pg_|ModifyTable$)/

describe('plans of the statements about webhooks', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  it('statements about webhooks of a merchant find all rows by indexes, and read few of many deliveries', async () => {
    const merchantId = await newMerchant(store.db)
    const { id } = await newEndpoint(store.db, merchantId)
    await sql`insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, status, finished_at)
      select ${id}, ${merchantId}, gen_random_uuid(), 1, 'payment.created', now(),
        case when n = 1 then 'expired' else 'succeeded' end, now()
      from generate_series(1, ${DELIVERIES}) n`.execute(store.db)
    const [{ payment_id: paymentId }] = (await listDeliveries(store.db, { merchantId, limit: 1 })).map(
      ({ paymentId }) => ({ payment_id: paymentId }),
    ) as [{ payment_id: string }]
    await sql`insert into payment_events (payment_id, merchant_id, sequence, type, actor)
      values (${paymentId}, ${merchantId}, 1, 'payment.created', 'api')`.execute(store.db)
    const explained = await openExplained(store.db)
    const event = { paymentId, sequence: 1 }
    try {
      const { db } = explained
      for (const [name, execute] of Object.entries({
        listEndpoints: () => listEndpoints(db, { merchantId, limit: 20 }),
        list: () => listDeliveries(db, { merchantId, limit: 20 }),
        listOfEndpoint: () => listDeliveries(db, { merchantId, endpointId: id, before: '1500', limit: 20 }),
        listOfStatus: () => listDeliveries(db, { merchantId, status: 'expired', limit: 20 }),
        listOfEvent: () => listDeliveries(db, { merchantId, event, limit: 20 }),
        findEventDeliveries: () => findEventDeliveries(db, { merchantId, ...event }),
        redeliver: () => redeliver(db, { merchantId, ...event }),
        startReplay: () =>
          startReplay(db, { merchantId, endpointId: id, id: randomUUID(), start: { from: 'event', ...event } }),
        rotateSecret: () => rotateSecret(db, { merchantId, id, secret: SEALED, overlapMs: 1 }),
        disable: () => updateEndpoint(db, { merchantId, id, url: 'https://x.example.com/', isEnabled: false }),
        enable: () => updateEndpoint(db, { merchantId, id, isEnabled: true }),
        deleteEndpoint: () => deleteEndpoint(db, { merchantId, id }),
      })) {
        const reads = await explained.readsBy(execute)
        expect(reads, name).to.not.be.empty
        for (const { indexes, rows } of reads) {
          expect(
            [...indexes].filter((index) => !BY_INDEX.test(index)),
            name,
          ).to.deep.equal([])
          expect(rows, name).to.be.below(100)
        }
      }
    } finally {
      await explained.db.destroy()
    }
  })
})

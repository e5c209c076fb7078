import { createTestDatabase, eventually, nullLogger, openClient, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase, type Database } from '../../src/index.ts'
import { eventValues, INSERT_EVENT } from '../events/feed-rig.ts'
import { fanOutAll, newEndpoint, newMerchant } from './webhook-rig.ts'

describe('fan-out that meets a claim', () => {
  let database: TestDatabase
  let db: Database
  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 3, logger: nullLogger })
  })
  after(async () => {
    await db?.destroy()
    await database?.drop()
  })

  it('fan-out: makes a queue due that a claim is about to put to sleep, because it found nothing due', async () => {
    const merchantId = await newMerchant(db)
    const { id } = await newEndpoint(db, merchantId)
    const claim = await openClient(database.url)
    try {
      await claim.query(INSERT_EVENT, [...eventValues(merchantId)])
      await claim.query('update webhook_queues set due_at = now() where endpoint_id = $1', [id])
      // As claimDeliveries: it locks the queue that is due, and sees no delivery.
      await claim.query('begin')
      await claim.query('select from webhook_queues where endpoint_id = $1 for update', [id])
      const fanningOut = fanOutAll(db, merchantId)
      await eventually(async () => {
        const { rowCount } = await claim.query(`select from pg_locks where not granted and database =
          (select oid from pg_database where datname = current_database()) or not granted and locktype = 'transactionid'`)
        expect(rowCount).to.equal(1)
      })
      await claim.query(`update webhook_queues set due_at = 'infinity' where endpoint_id = $1`, [id])
      await claim.query('commit')
      await fanningOut
      const { rows } = await claim.query(
        `select q.due_at <= now() as is_due, count(d.*)::int as deliveries from webhook_queues q
        join webhook_deliveries d using (endpoint_id) where q.endpoint_id = $1 group by q.endpoint_id`,
        [id],
      )
      expect(rows).to.deep.equal([{ is_due: true, deliveries: 1 }])
    } finally {
      await claim.end()
    }
  })
})

import { expect } from 'chai'
import { sql } from 'kysely'
import { createBatches } from '../src/batches.ts'
import { processPayment } from '../src/process-payment.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

describe('processPayment: an unknown currency', () => {
  let payments: TestWorker
  before(async () => {
    payments = await createTestWorker()
  })
  after(() => payments.drop())

  // Promises 1, 5
  it('worker: does not ask the provider for a payment in a currency of a newer version, and parks it', async () => {
    const { db, logger } = payments
    const id = await payments.pending()
    await sql`update payments set currency = 'XYZ' where id = ${id}`.execute(db)
    let charges = 0
    const shared = { db, providerDeadlineMs: 5_000, redriveAfterMs: 60_000, attemptsMax: 2 }
    const options = {
      ...shared,
      batches: createBatches(shared),
      logger,
      settled: () => {},
      async charge() {
        charges += 1
        return { outcome: 'approved' } as const
      },
    }
    const message = { paymentId: id, messageId: 'm-1', requestId: 'r-1' }
    const process = () => processPayment(message, options, new AbortController().signal)

    expect(await process()).to.equal('retry_scheduled')
    await sql`update payments set lease_until = now() where id = ${id}`.execute(db)
    expect(await process()).to.equal('parked')
    expect(charges).to.equal(0)
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 2 })
    const letter = await db.selectFrom('dead_letters').select('reason').where('key', '=', id).executeTakeFirst()
    expect(letter?.reason).to.include('this worker does not know the currency XYZ, and has not asked the provider')
    expect(letter?.reason).to.include('; an earlier request may have charged it')
  })
})

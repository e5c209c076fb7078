import { randomUUID } from 'node:crypto'
import { claimPayments } from '@cashflow/db/worker'
import { createSpanSearch } from '@cashflow/outbox'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDeadDeliveryHandler } from '../src/handle-dead-delivery.ts'
import { reconcileOnce } from '../src/reconcile.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

describe('worker with a payment whose page the disk cannot read (58030)', () => {
  let payments: TestWorker
  let bad: string
  let sound: string[]

  beforeEach(async () => {
    payments = await createTestWorker()
    bad = await payments.pending()
    sound = await Promise.all(Array.from({ length: 5 }, () => payments.pending()))
    // A disk does not fail on demand, so a trigger raises the error that PostgreSQL raises for EIO.
    await sql`create function fail() returns trigger language plpgsql as $$ begin
      raise exception 'could not read block 3 in file "base/5/16384": Input/output error' using errcode = '58030';
    end $$`.execute(payments.db)
    await sql`create trigger fail before update on payments for each row when (old.id = ${sql.lit(bad)})
      execute function fail()`.execute(payments.db)
  })
  afterEach(() => payments.drop())

  // Promise 41
  it('rejects a payment that the disk cannot read, and settles the others of its batch', async () => {
    const handler = createWorker()
    const settlements = [bad, ...sound].map((id) => handler.handle(delivery(id)))
    try {
      expect(await Promise.all(settlements)).to.deep.equal(['reject', ...sound.map(() => 'ack')])
    } finally {
      await handler.stop()
      await Promise.allSettled(settlements)
    }
  })

  it('redrives all payments except the one that the disk cannot read', async () => {
    const { db, logger } = payments
    await whileReadable(() => sql`update payments set redrive_at = clock_timestamp() - interval '1 minute'`.execute(db))
    await reconcileOnce({ db, logger, notify() {}, redriveAfterMs: 600_000, waiting: () => 0, isPaused: () => false })
    expect(await redriven()).to.deep.equal(sound.toSorted())
  })

  // Promise 42
  it('finds the payment that the disk cannot read among payments that were claimed in the same statement', async () => {
    const { db, logger } = payments
    const claims = [bad, ...sound].map((id) => ({ id, token: randomUUID() }))
    await whileReadable(async () => {
      await sql`update payments set redrive_at = now() + interval '1 hour'`.execute(db)
      await claimPayments(db, claims, { leaseMs: 10, redriveAfterMs: 10, attemptsMax: 10 })
    })
    const search = createSpanSearch()
    await eventually(async () => {
      await reconcileOnce(
        { db, logger, notify() {}, redriveAfterMs: 600_000, waiting: () => 0, isPaused: () => false },
        search,
      )
      expect(await redriven()).to.deep.equal(sound.toSorted())
    })
  })

  // Promise 41
  it('makes a dead letter of a redriven payment whose row can be read but not written', async () => {
    await whileReadable(() => payments.set(bad, 'redrives = 1'))
    expect(await createDeadDeliveryHandler(payments).handle(delivery(bad))).to.equal('ack')
    const letters = await payments.db.selectFrom('dead_letters').select(['source', 'key']).execute()
    expect(letters).to.deep.equal([{ source: 'database', key: bad }])
  })

  it('parks a payment that could not be settled, with a reason that does not blame a dead worker alone', async () => {
    await sql`drop trigger fail on payments`.execute(payments.db)
    await sql`create trigger fail before insert on payment_events for each row when (new.payment_id = ${sql.lit(bad)})
      execute function fail()`.execute(payments.db)
    await payments.set(bad, 'attempts = 9')
    const { handle } = createWorker()
    expect(await handle(delivery(bad))).to.equal('reject')
    await payments.expireLease(bad)
    expect(await handle(delivery(bad))).to.equal('ack')
    const letters = await payments.db.selectFrom('dead_letters').select('reason').where('key', '=', bad).execute()
    const reason = 'its last claim ran out: a worker died, or PostgreSQL did not store what the provider had answered'
    expect(letters).to.deep.equal([{ reason }])
  })

  const createWorker = () => createTestHandler(payments, { charge: async () => ({ outcome: 'approved' }) })

  const redriven = async () => {
    const messages = await payments.db.selectFrom('outbox_messages').select('key').orderBy('key').execute()
    return messages.map(({ key }) => key)
  }

  async function whileReadable(work: () => Promise<unknown>): Promise<void> {
    await sql`alter table payments disable trigger fail`.execute(payments.db)
    await work()
    await sql`alter table payments enable trigger fail`.execute(payments.db)
  }
})

import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

const LOCKED = 20

describe('worker with payments that another session has locked', () => {
  let payments: TestWorker
  beforeEach(async () => {
    payments = await createTestWorker()
  })
  afterEach(() => payments.drop())

  // Promise 43
  for (const when of ['claim', 'settlement'] as const)
    it(`delays no other payments of a batch when some are locked before their ${when}`, async () => {
      const locked = await Promise.all(Array.from({ length: LOCKED }, () => payments.pending()))
      const others = await Promise.all(Array.from({ length: LOCKED }, () => payments.pending()))
      const session = await payments.db.startTransaction().execute()
      await sql`set local idle_in_transaction_session_timeout = 0`.execute(session)
      const lock = () => sql`select from payments where id = any(${locked}::uuid[]) for update`.execute(session)
      const charged = Promise.withResolvers<void>()
      let charges = 0
      const provider = {
        async charge() {
          charges += 1
          await charged.promise
          return { outcome: 'approved' } as const
        },
      }
      const { handle } = createTestHandler(payments, provider)
      if (when === 'claim') await lock()
      const held = locked.map((id) => handle(delivery(id)))
      const free = others.map((id) => handle(delivery(id)))
      if (when === 'settlement') {
        await eventually(() => expect(charges).to.equal(2 * LOCKED))
        await lock()
      }
      charged.resolve()
      expect(await Promise.all(free)).to.deep.equal(others.map(() => 'ack'))
      const waits = payments.logged().filter((line) => line === 'statement failed, trying again').length
      expect(waits, 'locks that were waited for').to.be.below(LOCKED / 2)
      await session.rollback().execute()
      expect(await Promise.all(held)).to.deep.equal(locked.map(() => 'ack'))
      for (const id of [...locked, ...others]) expect(await payments.row(id)).to.include({ status: 'SUCCESS' })
    })

  // Promise 100
  it('worker: leaves a delivery whose claim waits for a locked row when its consumer drains', async () => {
    const id = await payments.pending()
    const session = await payments.db.startTransaction().execute()
    await sql`set local idle_in_transaction_session_timeout = 0`.execute(session)
    await sql`select from payments where id = ${id} for update`.execute(session)
    let charges = 0
    const provider = {
      async charge() {
        charges += 1
        return { outcome: 'approved' } as const
      },
    }
    const draining = new AbortController()
    const handled = createTestHandler(payments, provider).handle(delivery(id, { draining: draining.signal }))
    await eventually(() => expect(payments.logged()).to.include('statement failed, trying again'))
    draining.abort(new Error('paused'))
    expect(await handled).to.equal('leave')
    await session.rollback().execute()
    expect(await payments.row(id)).to.include({ claim_token: null, lease_until: null, attempts: 0 })
    expect(charges).to.equal(0)
  })
})

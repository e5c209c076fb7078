import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findPayment } from '../../src/index.ts'
import { lockPayment } from '../../src/payments/parked.ts'
import { redriveNow } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

describe('statements on payments', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(1)
  })
  after(() => store.drop())

  // Promise 62
  it('statements on payments go on in an open session when a migration has added or dropped a column', async () => {
    const { db } = store
    async function useAll() {
      const { id, merchantId } = await store.insert()
      expect(await findPayment(db, { id, merchantId })).to.include({ id })
      expect(await db.transaction().execute((tx) => redriveNow(tx, id))).to.equal('advanced')
      expect(await db.transaction().execute((tx) => lockPayment(tx, id))).to.include({ leased: false })
      const token = randomUUID()
      const claim = await claimPayment(db, id, { token, leaseMs: 10_000, attemptsMax: 3, redriveAfterMs: 1_000 })
      expect(claim).to.include({ verdict: 'claimed' })
    }
    for (const change of ['add column later text', 'drop column later']) {
      await useAll()
      await sql`alter table payments ${sql.raw(change)}`.execute(db)
    }
    await useAll()
  })
})

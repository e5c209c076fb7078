import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { aPayment } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { PaymentInsert } from '../../src/index.ts'
import { createEmptyDatabase, migrateAll, migrateUpTo } from '../migrate/former-database.ts'
import { createTestStore, storePayments, type TestStore } from '../test-store.ts'

describe('idempotency keys of payments', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  type Input = Parameters<typeof aPayment>[0] & { key?: string }
  const created = ({ key, ...input }: Input): PaymentInsert => {
    return { ...aPayment(input), idempotencyKey: key, requestId: 'r-1', messages: [] }
  }
  const insert = (...payments: PaymentInsert[]) => storePayments(store.db, payments, { redriveAfterMs: 60_000 })
  async function prune({ payment: { id } }: PaymentInsert): Promise<void> {
    await sql`update payments set status = 'SUCCESS', settled_at = now(), redrive_at = null where id = ${id}`.execute(
      store.db,
    )
    await sql`insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${id}`.execute(store.db)
    await sql`delete from payments where id = ${id}`.execute(store.db)
  }

  // Promise 80
  it('are of their merchant: another one may use the same key and the same reference', async () => {
    const [key, reference, merchantId] = [randomUUID(), randomUUID(), randomUUID()]
    const [mine, others] = [created({ key, reference }), created({ key, reference, merchantId })]
    expect((await insert(mine, others)).map(({ has }) => has)).to.deep.equal(['itself', 'itself'])
    const again = await insert(created({ key, reference, merchantId }), created({ key, reference }))
    expect(again.map(({ paymentId }) => paymentId)).to.deep.equal([others.payment.id, mine.payment.id])
  })

  it('are compared by their bytes: a key in another case is another key', async () => {
    const key = `K-é-${randomUUID()}`
    const keys = [key, key.toLowerCase(), key.normalize('NFD')]
    expect((await insert(...keys.map((key) => created({ key })))).map(({ has }) => has)).to.deep.equal([
      'itself',
      'itself',
      'itself',
    ])
  })

  it('decide for one of several payments of a batch, and name it to the others with what differs', async () => {
    const key = randomUUID()
    const batch = [created({ key, reference: `a ${key}` }), created({ key, reference: `b ${key}` })]
    const holders = await insert(...batch)
    const first = defined(batch[0], 'payment').payment
    expect(holders).to.deep.equal([
      { has: 'itself', paymentId: first.id },
      { has: 'key', paymentId: first.id, createdAt: first.createdAt, mismatch: ['reference'] },
    ])
  })

  it('name the currency that differs if only a newer version knows it, and fail no other payment of the batch', async () => {
    const [held, free] = [created({ key: randomUUID() }), created({})]
    await insert(held)
    const { id, reference } = held.payment
    await store.db.updateTable('payments').set({ currency: 'EUR' }).where('id', '=', id).execute()
    const again = created({ key: defined(held.idempotencyKey, 'key'), reference })
    expect(await insert(again, created({ reference }), free)).to.deep.equal([
      { has: 'key', paymentId: id, createdAt: held.payment.createdAt, mismatch: ['currency'] },
      { has: 'reference', paymentId: id, mismatch: ['currency'] },
      { has: 'itself', paymentId: free.payment.id },
    ])
  })

  it('find their own payment when its first transaction’s answer was lost', async () => {
    const payment = created({ key: randomUUID() })
    await insert(payment)
    expect(await insert(payment)).to.deep.equal([{ has: 'itself', paymentId: payment.payment.id }])
  })

  it('decide before the reference, whichever of both payments is pruned', async () => {
    for (const isPruned of [
      [true, false],
      [false, true],
      [true, true],
    ]) {
      const [ofKey, ofReference] = [created({ key: randomUUID() }), created({})]
      await insert(ofKey, ofReference)
      if (isPruned[0]) await prune(ofKey)
      if (isPruned[1]) await prune(ofReference)
      const { reference } = ofReference.payment
      const [holder] = await insert(created({ key: defined(ofKey.idempotencyKey, 'key'), reference }))
      expect(holder).to.include({ has: 'key', paymentId: ofKey.payment.id })
    }
  })

  // Promise 80
  it('stay taken after their payment is pruned, with all that a replay needs', async () => {
    const metadata = new Map([['a', 'b']])
    const pruned = created({ key: randomUUID(), metadata })
    const { reference, createdAt } = pruned.payment
    await insert(pruned)
    await prune(pruned)
    const key = defined(pruned.idempotencyKey, 'key')
    const [same, other] = await insert(created({ key, reference, metadata }), created({ key }))
    const found = { has: 'key', paymentId: pruned.payment.id, createdAt }
    expect(same).to.deep.equal({ ...found, mismatch: [] })
    expect(other).to.deep.equal({ ...found, mismatch: ['metadata', 'reference'] })
    const rows = await store.db.selectFrom('payments').select('id').where('idempotency_key', '=', key).execute()
    expect(rows).to.deep.equal([])
  })

  // Promise 80
  it('are replayed if their payment was pruned before the time of pruned payments was kept', async () => {
    const former = await createEmptyDatabase()
    await migrateUpTo(former.db, '0011_api_keys')
    const [key, id, reference] = [randomUUID(), '01a200e6-61da-7305-a53d-01a16fbc86b7', 'REF-001']
    await sql`insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency)
      select id, ${reference}, ${key}, ${id}, 100, 'USD' from merchants`.execute(former.db)
    await migrateAll(former.db)
    const again = [created({ key, reference }), created({ key }), created({})]
    const holders = await storePayments(former.db, again, { redriveAfterMs: 60_000 })
    await former.drop()
    const found = { has: 'key', paymentId: id, createdAt: new Date('2026-11-22T01:37:08.058Z') }
    expect(holders).to.deep.equal([
      { ...found, mismatch: [] },
      { ...found, mismatch: ['reference'] },
      { has: 'itself', paymentId: again[2]?.payment.id },
    ])
  })

  it('stay with a pruned reference that is restored without its payment', async () => {
    const [key, id, createdAt] = [randomUUID(), randomUUID(), new Date(0)]
    const restore = (at: Date | null) =>
      sql`insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency, created_at)
        select id, ${key}, ${key}, ${id}, 100, 'USD', ${at}::timestamptz from merchants where name = 'default'`.execute(
        store.db,
      )
    expect(await restore(null).catch(({ code }) => code)).to.equal('23514')
    await restore(createdAt)
    const [holder] = await insert(created({ key, reference: key }))
    expect(holder).to.deep.equal({ has: 'key', paymentId: id, createdAt, mismatch: [] })
  })
})

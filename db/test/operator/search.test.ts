import { DEFAULT_MERCHANT_ID, type Payment } from '@cashflow/domain'
import { eventually, OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createMerchant, type PaymentSearch, searchEvents, searchPayments } from '../../src/operator.ts'
import { createTestStore, newPayment, storePayments, type TestStore } from '../test-store.ts'

describe('searchPayments and searchEvents', () => {
  let store: TestStore
  let payments: Payment[]
  let other: Payment
  let otherMerchantId: string

  before(async () => {
    store = await createTestStore(4)
    payments = []
    for (let made = 0; made < 5; made++) {
      payments.push(await store.insert())
      await nextMillisecond()
    }
    const merchant = await createMerchant(store.db, { name: 'Other', by: OPERATOR })
    if (!merchant.done) throw new Error(merchant.why)
    otherMerchantId = merchant.merchant.id
    const { payment, event } = newPayment()
    other = { ...payment, merchantId: otherMerchantId }
    await storePayments(
      store.db,
      [
        {
          payment: { ...payment, merchantId: otherMerchantId },
          event: { ...event, merchantId: otherMerchantId },
          requestId: 'r',
          messages: [],
        },
      ],
      { redriveAfterMs: 60_000 },
    )
    const update = (payment: Payment | undefined, values: object) =>
      store.db
        .updateTable('payments')
        .set(values)
        .where('id', '=', payment?.id ?? '')
        .execute()
    await update(payments[0], { status: 'SUCCESS', settled_at: new Date(), redrive_at: null })
    await update(payments[1], { status: 'FAILED', failure_code: 'x', settled_at: new Date(), redrive_at: null })
    await update(payments[2], { parked_at: new Date(), redrive_at: null })
    await update(payments[3], { attempts: 1 })
  })
  after(() => store.drop())

  /** Searches page by page, and returns the numbers of the payments. */
  async function numbers(search: Omit<PaymentSearch, 'limit'>, limit = 2): Promise<number[]> {
    const found: string[] = []
    let after: string | undefined
    do {
      const page = await searchPayments(store.db, { ...search, limit, after })
      if (!page.done) throw new Error(page.why)
      expect(page.payments.length).to.be.at.most(limit)
      found.push(...page.payments.map(({ id }) => id))
      after = page.next
    } while (after !== undefined)
    const all = [...payments, other].map(({ id }) => id)
    return found.map((id) => all.indexOf(id))
  }

  it('search: lists all payments newest first, in pages', async () => {
    expect(await numbers({})).to.deep.equal([5, 4, 3, 2, 1, 0])
    expect(await numbers({}, 6)).to.deep.equal([5, 4, 3, 2, 1, 0])
  })

  it('search: filters by status, merchant and what payments wait for, in pages', async () => {
    expect(await numbers({ status: 'FAILED' })).to.deep.equal([1])
    expect(await numbers({ status: 'PENDING' })).to.deep.equal([3, 4, 5, 2])
    expect(await numbers({ status: 'PENDING' }, 1)).to.deep.equal([3, 4, 5, 2])
    expect(await numbers({ waitingFor: 'operator' })).to.deep.equal([2])
    expect(await numbers({ waitingFor: 'retry' })).to.deep.equal([3])
    expect(await numbers({ waitingFor: 'queue', merchantId: otherMerchantId })).to.deep.equal([5])
    expect(await numbers({ merchantId: otherMerchantId })).to.deep.equal([5])
    expect(await numbers({ merchantId: DEFAULT_MERCHANT_ID })).to.deep.equal([4, 3, 2, 1, 0])
    expect(await numbers({ merchantId: DEFAULT_MERCHANT_ID, status: 'SUCCESS' })).to.deep.equal([0])
    expect(await numbers({ status: 'SUCCESS', waitingFor: 'queue' })).to.deep.equal([])
  })

  it('search: leaves out payments that are younger than asked', async () => {
    expect(await numbers({ olderThanMs: 0 })).to.have.length(6)
    expect(await numbers({ olderThanMs: 0, status: 'PENDING' })).to.have.length(4)
    expect(await numbers({ olderThanMs: 0, merchantId: DEFAULT_MERCHANT_ID })).to.have.length(5)
    expect(await numbers({ olderThanMs: 3_600_000 })).to.deep.equal([])
    expect(await numbers({ olderThanMs: 3_600_000, status: 'PENDING' })).to.deep.equal([])
    expect(await numbers({ olderThanMs: 3_600_000, merchantId: DEFAULT_MERCHANT_ID })).to.deep.equal([])
  })

  it('search: reads at most 10,000 PENDING payments, also if none is as old as asked', async () => {
    const many = await createTestStore(1)
    try {
      const { id } = await many.insert()
      await sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, redrive_at)
        select gen_random_uuid(), merchant_id, 'R-' || n, 100, 'USD', 'PENDING', now(), now() + interval '1 hour'
        from payments, generate_series(1, 10000) n where id = ${id}`.execute(many.db)
      await sql`update payments set created_at = now() - interval '1 day', redrive_at = now() + interval '2 hours'
        where id = ${id}`.execute(many.db)
      const search = { status: 'PENDING', olderThanMs: 3_600_000, limit: 10 } as const
      const first = await searchPayments(many.db, search)
      if (!first.done) throw new Error(first.why)
      expect(first.payments).to.deep.equal([])
      const second = await searchPayments(many.db, { ...search, after: first.next })
      expect(second).to.have.nested.property('payments[0].id', id)
    } finally {
      await many.drop()
    }
  })

  it('search: refuses a place that is not in the list any more', async () => {
    const after = payments[0]?.id
    expect(await searchPayments(store.db, { status: 'PENDING', after, limit: 1 })).to.have.property('done', false)
    const ofMerchant = { merchantId: otherMerchantId, after, limit: 1 }
    expect(await searchPayments(store.db, ofMerchant)).to.have.property('done', false)
  })

  it('search: lists events newest first, those of a merchant, and those of a payment in their order', async () => {
    const eventsOf = async (search: { merchantId?: string; paymentId?: string }) => {
      const found: string[] = []
      let after: { paymentId: string; sequence: number } | undefined
      do {
        const page = await searchEvents(store.db, { ...search, after, limit: 2 })
        if (!page.done) throw new Error(page.why)
        found.push(...page.events.map(({ paymentId }) => paymentId))
        after = page.events.length === 2 ? page.events[1] : undefined
      } while (after)
      return found
    }
    const newestFirst = payments.map(({ id }) => id).reverse()
    expect(await eventsOf({})).to.deep.equal([other.id, ...newestFirst])
    expect(await eventsOf({ merchantId: DEFAULT_MERCHANT_ID })).to.deep.equal(newestFirst)
    expect(await eventsOf({ paymentId: other.id })).to.deep.equal([other.id])
    const after = { paymentId: other.id, sequence: 9 }
    expect(await searchEvents(store.db, { after, limit: 1 })).to.have.property('done', false)
  })
})

/** Ids of the same millisecond are in no order that the test knows. */
async function nextMillisecond(): Promise<void> {
  const now = Date.now()
  await eventually(() => expect(Date.now()).to.be.above(now), { intervalMs: 1 })
}

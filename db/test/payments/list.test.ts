import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID, type PaymentStatus } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import { expect } from 'chai'
import fc from 'fast-check'
import { listPayments, type PaymentListOptions } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const MERCHANTS = [DEFAULT_MERCHANT_ID, uuidv7()] as const
// EUR, AAA and ZZZ are payments that a newer version has stored.
const CURRENCIES = ['USD', 'ETB', 'EUR', 'AAA', 'ZZZ'] as const
const STATUSES = ['PENDING', 'SUCCESS', 'FAILED'] as const
/** Times that differ by microseconds, each of several payments. */
const TIMES = Array.from({ length: 12 }, (_, n) => `2026-11-22T01:37:08.1234${10 + n}Z`)

interface Stored {
  readonly id: string
  readonly merchantId: string
  readonly reference: string
  readonly idempotencyKey: string | null
  readonly status: PaymentStatus
  readonly currency: string
  readonly createdAt: string
}

describe('list of payments', () => {
  let store: TestStore
  let stored: Stored[]
  before(async () => {
    store = await createTestStore()
    stored = Array.from({ length: 400 }, (_, n) => ({
      id: randomUUID(),
      merchantId: defined(MERCHANTS[n % 7 === 0 ? 1 : 0], 'merchant'),
      reference: `R${n}`,
      idempotencyKey: n % 3 === 0 ? null : `K${n}`,
      status: defined(STATUSES[n % 3], 'status'),
      currency: defined(CURRENCIES[n % 11 === 0 ? 2 + (n % 3) : n % 2], 'currency'),
      createdAt: defined(TIMES[(n * 5) % TIMES.length], 'time'),
    }))
    await store.db
      .insertInto('payments')
      .values(
        stored.map(({ merchantId, idempotencyKey, createdAt, ...payment }) => ({
          ...payment,
          merchant_id: merchantId,
          idempotency_key: idempotencyKey,
          amount_minor: '1',
          // A Date has no microseconds.
          created_at: createdAt as never,
          settled_at: payment.status === 'PENDING' ? null : new Date(),
        })),
      )
      .execute()
  })
  after(() => store.drop())

  /** What a list with these filters has to contain, in its order. */
  function expected(options: Omit<PaymentListOptions, 'limit' | 'after'>): string[] {
    const { merchantId, reference, idempotencyKey, status, currency, createdFrom, createdTo } = options
    return stored
      .filter((payment) => payment.merchantId === merchantId)
      .filter((payment) => reference === undefined || payment.reference === reference)
      .filter((payment) => idempotencyKey === undefined || payment.idempotencyKey === idempotencyKey)
      .filter((payment) => status === undefined || payment.status === status)
      .filter((payment) => currency === undefined || payment.currency === currency)
      .filter(({ createdAt }) => createdFrom === undefined || createdAt >= createdFrom)
      .filter(({ createdAt }) => createdTo === undefined || createdAt < createdTo)
      .map(({ id, createdAt }) => `${createdAt} ${id}`)
      .toSorted()
      .toReversed()
      .map((place) => place.slice(-36))
  }

  /** Reads a list to its end, page by page. */
  async function readAll(options: PaymentListOptions): Promise<string[]> {
    const ids: string[] = []
    for (let after = options.after; ; ) {
      const page = await listPayments(store.db, { ...options, after })
      expect(page.length).to.be.at.most(options.limit)
      ids.push(...page.map(({ payment }) => payment.id))
      if (page.length < options.limit) return ids
      after = page.at(-1)?.place
    }
  }

  const OPTIONS = fc.record(
    {
      reference: fc.nat({ max: 410 }).map((n) => `R${n}`),
      idempotencyKey: fc.nat({ max: 410 }).map((n) => `K${n}`),
      status: fc.constantFrom(...STATUSES),
      currency: fc.constantFrom(...CURRENCIES),
      createdFrom: fc.constantFrom(...TIMES),
      createdTo: fc.constantFrom(...TIMES),
      merchantId: fc.constantFrom(...MERCHANTS),
      limit: fc.integer({ min: 1, max: 100 }),
    },
    { requiredKeys: ['merchantId', 'limit'] },
  )

  // Promise 82
  it('list of payments: shows each payment that the filters select once, newest first, over pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(OPTIONS, async (options) => {
        expect(await readAll(options)).to.deep.equal(expected(options))
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) },
    )
  })

  // Promise 82
  it('list of payments: shows payments in a currency that this version does not know, in their place', async () => {
    const ids = await readAll({ merchantId: DEFAULT_MERCHANT_ID, limit: 50 })
    expect(ids).to.deep.equal(expected({ merchantId: DEFAULT_MERCHANT_ID }))
    expect(ids).to.have.length(stored.filter(({ merchantId }) => merchantId === DEFAULT_MERCHANT_ID).length)
  })

  // Promise 82
  it('list of payments: goes on where a page ended while payments are stored and settled', async () => {
    const merchantId = uuidv7()
    const insert = async (created_at: Date, status: PaymentStatus) => {
      const id = uuidv7()
      await store.db
        .insertInto('payments')
        .values({
          ...{ id, merchant_id: merchantId, reference: id, amount_minor: '1', currency: 'USD', status, created_at },
          settled_at: status === 'PENDING' ? null : new Date(),
        })
        .execute()
      return id
    }
    const ids: string[] = []
    for (let n = 0; n < 30; n++) ids.unshift(await insert(new Date(Date.UTC(2026, 0, 1, 0, n)), 'PENDING'))
    const seen: string[] = []
    let after: PaymentListOptions['after']
    for (;;) {
      const page = await listPayments(store.db, { merchantId, limit: 4, after })
      seen.push(...page.map(({ payment }) => payment.id))
      if (page.length < 4) break
      after = page.at(-1)?.place
      await insert(new Date(), 'PENDING')
      // Their place stays the same, although they are in another part of the index.
      await store.db
        .updateTable('payments')
        .set({ status: 'SUCCESS', settled_at: new Date() })
        .where('id', 'in', [ids[seen.length] ?? '', ids[seen.length - 1] ?? ''].filter(Boolean))
        .execute()
    }
    expect(seen).to.deep.equal(ids)
  })
})

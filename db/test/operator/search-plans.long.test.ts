import { type DebianPostgres, startDebianPostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  findById,
  findByIdempotencyKey,
  findByReference,
  type PaymentPage,
  type PaymentSearch,
  searchPayments,
} from '../../src/operator.ts'
import { openExplained, type Read } from '../payments/explained-session.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { fillPayments } from './filled-payments.ts'

// SEARCH_ROWS=2000000 measures a full table by hand.
const ROWS = Number(process.env.SEARCH_ROWS ?? 150_000)
const MERCHANTS = 1_000
const PAGE = 50
const LOOKED_MAX = 10_000
const PENDING_LOOKED_MAX = 5_000
// A page is read again for its columns, by the ids.
const FULL_PAGE_MAX = 2 * PAGE + 10

describe("searches of the payments page, on Debian's PostgreSQL", function () {
  this.timeout(600_000)
  let postgres: DebianPostgres
  let store: TestStore
  let explained: Awaited<ReturnType<typeof openExplained>>
  let merchantId: string
  before(async () => {
    postgres = await startDebianPostgres()
    store = await createTestStore(2, { url: postgres.url, drop: postgres.stop } as never, 0)
    // More PENDING payments than are looked at.
    await fillPayments(store.db, { payments: ROWS, merchants: MERCHANTS, pending: 10 })
    explained = await openExplained(store.db)
    merchantId = (await sql<{ id: string }>`select id from merchants order by id offset 500 limit 1`.execute(store.db))
      .rows[0]?.id as string
  })
  after(async () => {
    await explained.db.destroy()
    await store.drop()
  })

  async function searched(search: Partial<PaymentSearch>): Promise<{ page: PaymentPage; rows: number }> {
    const found: PaymentPage[] = []
    const reads = await explained.readsBy(async () => {
      const result = await searchPayments(explained.db, { limit: PAGE, ...search })
      if (!result.done) throw new Error(result.why)
      found.push(result)
    })
    return { page: found[0] ?? expect.fail('no page'), rows: rowsOf(reads, 'payments') }
  }

  const rowsOf = (reads: readonly Read[], table: string) =>
    reads.reduce((sum, read) => sum + (read.rowsOf[table] ?? 0), 0)

  const FULL: Readonly<Record<string, [Partial<PaymentSearch>, rowsMax: number]>> = {
    'of any kind': [{}, FULL_PAGE_MAX],
    'that are older than 20 minutes': [{ olderThanMs: 1_200_000 }, FULL_PAGE_MAX],
    SUCCESS: [{ status: 'SUCCESS' }, 3 * FULL_PAGE_MAX],
    FAILED: [{ status: 'FAILED' }, 20 * FULL_PAGE_MAX],
    PENDING: [{ status: 'PENDING' }, PENDING_LOOKED_MAX + FULL_PAGE_MAX],
    'that wait for a retry': [{ waitingFor: 'retry' }, PENDING_LOOKED_MAX + FULL_PAGE_MAX],
  }
  for (const [name, [search, rowsMax]] of Object.entries(FULL))
    it(`payments page: a page of payments ${name} is full, and reads no more than it needs`, async () => {
      const { page, rows } = await searched(search)
      expect(page).to.include({ lookedAt: undefined })
      expect(page.payments).to.have.length(PAGE)
      expect(rows).to.be.at.most(rowsMax)
    })

  const OF_MERCHANT: readonly Partial<PaymentSearch>[] = [{}, { status: 'FAILED' }, { status: 'SUCCESS' }]
  for (const search of OF_MERCHANT)
    it(`payments page: payments of one merchant, ${search.status ?? 'of any status'}, come from its own rows`, async () => {
      const { page, rows } = await searched({ merchantId, ...search })
      expect(page).to.include({ lookedAt: undefined })
      expect(page.payments).to.not.deep.equal([])
      expect(rows).to.be.at.most(10 * FULL_PAGE_MAX)
    })

  it('payments page: a rare filter looks at 5,000 PENDING payments, says so, and the next pages go on to the end', async () => {
    for (const search of [{ waitingFor: 'provider' }, { waitingFor: 'worker', merchantId }] as const) {
      const pages: PaymentPage[] = []
      for (let after: string | undefined; pages.length === 0 || after !== undefined; ) {
        const { page, rows } = await searched({ ...search, after })
        expect(page.payments).to.deep.equal([])
        expect(rows).to.be.at.most(PENDING_LOOKED_MAX + PAGE)
        pages.push(page)
        after = page.next
      }
      // 9 of 10 PENDING payments are not parked.
      const full = Math.floor((ROWS * 0.1 * 0.9) / PENDING_LOOKED_MAX)
      expect(pages.map(({ lookedAt }) => lookedAt)).to.deep.equal([...Array(full).fill(PENDING_LOOKED_MAX), undefined])
    }
  })

  it('payments page: a status that no new payment has looks at the newest 10,000 payments, and says so', async () => {
    const newest = await sql<{ id: string }>`
      select id from payments where status = 'FAILED' order by id desc limit 3000`.execute(store.db)
    await sql`update payments set status = 'SUCCESS', failure_code = null
      where id = any (${newest.rows.map(({ id }) => id)}::uuid[])`.execute(store.db)
    const { page, rows } = await searched({ status: 'FAILED' })
    expect(page).to.deep.include({ payments: [], lookedAt: LOOKED_MAX })
    expect(rows).to.be.within(LOOKED_MAX, LOOKED_MAX + PAGE)
  })

  it('payments page: pages of PENDING payments have each once, also those of one redrive time', async () => {
    await sql`update payments set redrive_at = (
        select redrive_at from payments where status = 'PENDING' and redrive_at is not null
        order by redrive_at, id offset 4800 limit 1)
      where id in (select id from payments where status = 'PENDING' and redrive_at is not null
        order by redrive_at, id offset 4800 limit 400)`.execute(store.db)
    const { rows } = await sql<{ id: string }>`
      select id from payments where status = 'PENDING' order by redrive_at, id`.execute(store.db)
    const found: string[] = []
    let after: string | undefined
    do {
      const page = await searchPayments(store.db, { status: 'PENDING', limit: 1_000, after })
      if (!page.done) throw new Error(page.why)
      found.push(...page.payments.map(({ id }) => id))
      after = page.next
    } while (after !== undefined)
    expect(found).to.deep.equal(rows.map(({ id }) => id))
    // A filter that finds none is cut within the payments of one time, and does not go on behind them.
    const cut = await searched({ waitingFor: 'provider' })
    expect(rows.findIndex(({ id }) => id === cut.page.next)).to.be.within(4_999, 5_199)
  })

  it('payments page: an id, a reference and an idempotency key are looked up once for each merchant', async () => {
    for (const find of [
      () => findByReference(explained.db, { reference: 'REF-7', limit: PAGE }),
      () => findByIdempotencyKey(explained.db, { idempotencyKey: 'key-6', limit: PAGE }),
      () => findByReference(explained.db, { reference: 'PRUNED-0', limit: PAGE }),
      () => findByIdempotencyKey(explained.db, { idempotencyKey: 'nothing', limit: PAGE }),
    ]) {
      const reads = await explained.readsBy(find)
      expect(rowsOf(reads, 'payments')).to.be.at.most(MERCHANTS)
      expect(rowsOf(reads, 'pruned_references')).to.be.at.most(MERCHANTS)
      for (const { indexes } of reads) expect([...indexes]).to.not.include('Seq Scan')
    }
    const { rows } = await sql<{ id: string }>`select id from payments order by id limit 1`.execute(store.db)
    expect(rowsOf(await explained.readsBy(() => findById(explained.db, rows[0]?.id ?? '')), 'payments')).to.equal(1)
  })
})

import { defined } from '@cashflow/async'
import { createTestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { bodyWith, expectProblem, newReference, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

interface Page {
  data: { id: string; reference: string; status: string; currency: string; created_at: string }[]
  has_more: boolean
  next_cursor: string | null
}

const idsOf = ({ data }: Page) => data.map(({ id }) => id)

describe('GET /payments', () => {
  let api: ApiUnderTest
  /** Another process with the same database. */
  let other: ApiUnderTest
  before(async () => {
    const given = await createTestDatabase()
    api = await startApi({ auth: AUTH, given })
    other = await startApi({ auth: AUTH, given })
  })
  after(async () => {
    await other.stop()
    await api.stop()
  })

  /** A merchant of its own, whose requests `get` and `create` send. */
  async function createMerchant() {
    const { text, merchantId } = await createKey(api)
    const Authorization = `Bearer ${text}`
    const get = (query: Readonly<Record<string, string>> | string = '', { agent } = api) =>
      agent.get(`/payments?${new URLSearchParams(query)}`).set({ Authorization })
    return {
      merchantId,
      get,
      show: (id: string) => api.agent.get(`/payments/${id}`).set({ Authorization }),
      head: (path: string) => api.agent.head(path).set({ Authorization }),
      async list(...request: Parameters<typeof get>): Promise<Page> {
        const { status, body, text } = await get(...request)
        expect(status, text).to.equal(200)
        return body
      },
      async create(fields: Parameters<typeof bodyWith>[0] = {}, headers = {}): Promise<Page['data'][number]> {
        const { status, body, text } = await post(api, bodyWith(fields), '/payments', { Authorization, ...headers })
        expect(status, text).to.equal(201)
        return body
      },
    }
  }

  // Promise 82
  it('GET /payments: shows payments as GET /payments/:id does, newest first, in pages', async () => {
    const merchant = await createMerchant()
    const created: string[] = []
    for (let n = 0; n < 5; n++) created.unshift((await merchant.create()).id)
    const first = await merchant.list({ limit: '2' })
    expect(first).to.have.all.keys('data', 'has_more', 'next_cursor')
    expect(first.has_more).to.equal(true)
    const second = await merchant.list({ limit: '2', cursor: defined(first.next_cursor ?? undefined, 'cursor') })
    const third = await merchant.list({ limit: '100', cursor: defined(second.next_cursor ?? undefined, 'cursor') })
    expect(third).to.include({ has_more: false, next_cursor: null })
    expect([first, second, third].flatMap(idsOf)).to.deep.equal(created)
    const { text } = await merchant.show(defined(created[0], 'id'))
    expect((await merchant.get({ limit: '1' })).text).to.include(`{"data":[${text}],`)
  })

  // Promise 82
  it('GET /payments: has no more pages after one that ends with the last payment', async () => {
    const merchant = await createMerchant()
    expect(await merchant.list()).to.deep.equal({ data: [], has_more: false, next_cursor: null })
    for (let n = 0; n < 2; n++) await merchant.create()
    expect(await merchant.list({ limit: '2' })).to.include({ has_more: false, next_cursor: null })
    expect(await merchant.list({ limit: '1' })).to.include({ has_more: true })
  })

  // Promise 82
  it('GET /payments: filters by reference, idempotency key, status, currency and time', async () => {
    const merchant = await createMerchant()
    const [reference, key] = [`${newReference()} ü&+%`, 'a key, "quoted"']
    const usd = await merchant.create({ reference })
    const etb = await merchant.create({ currency: 'ETB' }, { 'Idempotency-Key': String.raw`"a key, \"quoted\""` })
    expect(idsOf(await merchant.list({ reference }))).to.deep.equal([usd.id])
    expect(idsOf(await merchant.list({ idempotency_key: key }))).to.deep.equal([etb.id])
    expect(idsOf(await merchant.list({ reference, idempotency_key: key }))).to.deep.equal([])
    expect(idsOf(await merchant.list({ reference, currency: 'ETB' }))).to.deep.equal([])
    expect(idsOf(await merchant.list({ currency: 'ETB' }))).to.deep.equal([etb.id])
    expect(idsOf(await merchant.list({ status: 'FAILED' }))).to.deep.equal([])
    expect(idsOf(await merchant.list({ status: 'PENDING' }))).to.deep.equal([etb.id, usd.id])

    const at = (created_at: string) => ({ created_at: created_at as never })
    const update = (id: string, time: string) =>
      api.db.updateTable('payments').set(at(time)).where('id', '=', id).execute()
    await update(usd.id, '2026-11-22T01:37:08.000001Z')
    await update(etb.id, '2026-11-22T01:37:08.000002Z')
    const within = async (created_from: string, created_to: string) =>
      idsOf(await merchant.list({ created_from, created_to }))
    expect(await within('2026-11-22T01:37:08.000001Z', '2026-11-22T01:37:08.000002Z')).to.deep.equal([usd.id])
    expect(await within('2026-11-22T04:37:08.000002+03:00', '2026-11-22T01:37:09Z')).to.deep.equal([etb.id])
    expect(await within('2026-11-22T01:37:08.000003Z', '2026-11-22T01:37:08.000001Z')).to.deep.equal([])
    expect(await within('0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999+23:59')).to.deep.equal([etb.id, usd.id])
  })

  // Promise 82
  it('GET /payments: skips no payment whose time differs from the last one of a page by a microsecond', async () => {
    const merchant = await createMerchant()
    const ids: string[] = []
    for (let n = 0; n < 6; n++) {
      const { id } = await merchant.create()
      ids.unshift(id)
      const created_at = `2026-11-22T01:37:08.00000${n}Z` as never
      await api.db.updateTable('payments').set({ created_at }).where('id', '=', id).execute()
    }
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Page = await merchant.list({ limit: '1', ...(cursor && { cursor }) })
      seen.push(...idsOf(page))
      cursor = page.next_cursor
    }
    expect(seen).to.deep.equal(ids)
  })

  // Promise 84
  it('GET /payments: shows each payment from its 201 on, in any process, with concurrent clients', async () => {
    const merchant = await createMerchant()
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let n = 0; n < 10; n++) {
          const { id, reference } = await merchant.create()
          const lists = await Promise.all([merchant.list({ limit: '100' }, other), merchant.list({ reference }, api)])
          for (const list of lists) expect(idsOf(list)).to.include(id)
        }
      }),
    )
  })

  // Promise 83
  it('GET /payments: refuses a cursor of other filters, of another merchant, and one that is altered', async () => {
    const [merchant, stranger] = [await createMerchant(), await createMerchant()]
    for (let n = 0; n < 2; n++) {
      await merchant.create()
      await stranger.create()
    }
    const query = { limit: '1', status: 'PENDING', created_from: '2026-01-01T03:00:00+03:00' }
    const { next_cursor } = await merchant.list(query)
    const cursor = defined(next_cursor ?? undefined, 'cursor')
    expect((await merchant.list({ ...query, limit: '50', cursor })).data).to.have.length(1)
    // The same filters, written otherwise, in another process.
    await merchant.list({ cursor, created_from: '2026-01-01T00:00:00Z', status: 'PENDING' }, other)
    expectProblem(await stranger.get({ ...query, cursor }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ ...query, status: 'FAILED', cursor }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ ...query, currency: 'USD', cursor }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ cursor }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ ...query, cursor: '' }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ ...query, cursor: `${cursor}A` }), 400, 'invalid-cursor')
    expectProblem(await merchant.get({ ...query, cursor: cursor.toLowerCase() }), 400, 'invalid-cursor')
  })

  it('GET /payments: answers HEAD without a body, and 403 to a key that may not read', async () => {
    const merchant = await createMerchant()
    const response = await merchant.head('/api/v1/payments?limit=1')
    expect(response.status).to.equal(200)
    expect(response.headers['content-type']).to.equal('application/json; charset=utf-8')
    expect(response.text).to.equal(undefined)
    const { text } = await createKey(api, { scopes: ['payments:write'] })
    const answer = await api.agent.get('/payments').set('Authorization', `Bearer ${text}`)
    expectProblem(answer, 403, 'forbidden')
  })

  it('GET /payments: ends a page before it has a million characters, and goes on with the next one', async () => {
    const merchant = await createMerchant()
    const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`n${n}`, 'ä'.repeat(500)]))
    const { id } = await merchant.create()
    const { created_at } = await api.db
      .selectFrom('payments')
      .select('created_at')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    await api.db
      .insertInto('payments')
      .values(
        Array.from({ length: 90 }, (_, n) => ({
          ...{ id: crypto.randomUUID(), merchant_id: merchant.merchantId, reference: `big ${n}`, amount_minor: '1' },
          ...{ currency: 'USD', status: 'PENDING' as const, metadata: JSON.stringify(metadata), created_at },
        })),
      )
      .execute()
    const seen = new Set<string>()
    let pages = 0
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const { text, body } = await merchant.get({ limit: '100', ...(cursor && { cursor }) })
      expect(text.length).to.be.at.most(1_001_000)
      for (const shown of idsOf(body)) seen.add(shown)
      cursor = body.next_cursor
    }
    expect(seen.size).to.equal(91)
    expect(pages).to.equal(3)
  })

  // Promise 82
  it('GET /payments: leaves out payments that it cannot show, goes on behind them, and logs their ids once a page', async () => {
    const merchant = await createMerchant()
    const created: string[] = []
    for (let n = 0; n < 7; n++) created.unshift((await merchant.create()).id)
    // The second and the last page have such payments only.
    const hidden = [1, 2, 3, 6].map((n) => defined(created[n], 'id'))
    await api.db.updateTable('payments').set({ currency: 'EUR' }).where('id', 'in', hidden).execute()
    api.logs.length = 0
    const pages: string[][] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Page = await merchant.list({ limit: '2', ...(cursor && { cursor }) })
      expect(page.has_more).to.equal(page.next_cursor !== null)
      pages.push(idsOf(page))
      cursor = page.next_cursor
    }
    expect(pages).to.deep.equal([[created[0]], [], [created[4], created[5]], []])
    const errors = api.logs.filter(({ level }) => level === 'error')
    expect(errors.map(({ payment_ids }) => payment_ids)).to.deep.equal([[hidden[0]], hidden.slice(1, 3), [hidden[3]]])
    for (const { message, error, request_id } of errors) {
      expect(message).to.equal('payments cannot be shown, a list leaves them out')
      expect(error).to.be.an('error')
      expect(request_id).to.be.a('string')
    }
  })

  it('GET /payments/:id, and by reference or key: answers 500 for a payment that it cannot show, and logs its id', async () => {
    const merchant = await createMerchant()
    const { id, reference } = await merchant.create()
    await api.db
      .updateTable('payments')
      .set({ currency: 'EUR', idempotency_key: reference })
      .where('id', '=', id)
      .execute()
    api.logs.length = 0
    expectProblem(await merchant.show(id), 500, 'internal')
    expectProblem(await merchant.get({ reference }), 500, 'internal')
    expectProblem(await merchant.get({ idempotency_key: reference }), 500, 'internal')
    const errors = api.logs.filter(({ level }) => level === 'error')
    expect(errors.map(({ message, payment_id }) => [message, payment_id])).to.deep.equal(
      Array(3).fill(['request failed', id]),
    )
  })
})

import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createMerchant, type FoundByName, findByIdempotencyKey, findByReference } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('payments that an operator finds by a name', () => {
  let store: TestStore
  let other: string
  beforeEach(async () => {
    store = await createTestStore()
    const made = await createMerchant(store.db, { name: 'Other', by: OPERATOR })
    if (!made.done) throw new Error(made.why)
    other = made.merchant.id
  })
  afterEach(() => store.drop())

  async function stored(merchantId: string, key: string | null, reference: string = randomUUID()): Promise<string> {
    const id = randomUUID()
    await sql`insert into payments (id, merchant_id, reference, idempotency_key, amount_minor, currency, status, settled_at)
      values (${id}, ${merchantId}, ${reference}, ${key}, 100, 'USD', 'SUCCESS', now())`.execute(store.db)
    return id
  }

  async function pruned(id: string): Promise<void> {
    await sql`insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${id}`.execute(store.db)
    await sql`delete from payments where id = ${id}`.execute(store.db)
  }

  async function ids(search: Promise<FoundByName>): Promise<string[]> {
    const result = await search
    return result.done ? result.payments.map(({ id }) => id) : expect.fail(result.why)
  }

  it('find: an idempotency key finds its payment of each merchant, or of one, also if it was pruned', async () => {
    const [own, others] = [await stored(DEFAULT_MERCHANT_ID, 'key'), await stored(other, 'key')]
    await stored(other, 'Key')
    await stored(other, null, 'key')
    const find = (merchantId?: string) =>
      ids(findByIdempotencyKey(store.db, { idempotencyKey: 'key', merchantId, limit: 9 }))
    expect(await find()).to.have.members([own, others])
    expect(await find(other)).to.deep.equal([others])
    await pruned(others)
    expect(await find()).to.deep.equal([own, others])
    expect(await find(DEFAULT_MERCHANT_ID)).to.deep.equal([own])
    expect(await ids(findByIdempotencyKey(store.db, { idempotencyKey: 'key', limit: 1 }))).to.include(own)
  })

  it('find: with 1,000 merchants a name is looked up for each, with more of them one has to be chosen', async () => {
    const more = (count: number) =>
      sql`insert into merchants (id, name) select gen_random_uuid(), gen_random_uuid()::text
        from generate_series(1, ${count}::int)`.execute(store.db)
    const id = await stored(other, 'key', 'reference')
    const searches = (merchantId?: string) => [
      findByReference(store.db, { reference: 'reference', merchantId, limit: 9 }),
      findByIdempotencyKey(store.db, { idempotencyKey: 'key', merchantId, limit: 9 }),
    ]
    await more(998)
    for (const search of searches()) expect(await ids(search)).to.deep.equal([id])
    await more(1)
    for (const search of searches())
      expect(await search).to.deep.equal({
        done: false,
        why: 'There are more than 1,000 merchants, so the name is looked up for one of them. Choose the merchant.',
      })
    for (const search of searches(other)) expect(await ids(search)).to.deep.equal([id])
  })
})

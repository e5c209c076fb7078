import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findKeys, newKey, parsePeppers, touchKeys } from '../../src/index.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const [PEPPER] = parsePeppers('p'.repeat(32))
const MINUTE_MS = 60_000

describe('stored keys', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  async function insert(columns: { expires_at?: Date; revoked_at?: Date } = {}) {
    const { id, hash, pepperId } = newKey({ sandbox: true, pepper: PEPPER })
    const row = { id, merchant_id: DEFAULT_MERCHANT_ID, name: 'test', secret_hash: hash, pepper_id: pepperId }
    await store.db
      .insertInto('api_keys')
      .values({ ...row, scopes: ['payments:read'], ...columns })
      .execute()
    return { id, hash, pepperId }
  }
  const lastUse = async (id: string) => {
    const row = store.db.selectFrom('api_keys').select('last_used_at').where('id', '=', id)
    return (await row.executeTakeFirstOrThrow()).last_used_at
  }

  it('findKeys finds several keys in one statement, with the time of the database', async () => {
    const { rows } = await sql<{ now: Date }>`select now()`.execute(store.db)
    const [expiresAt, revokedAt] = [new Date('2100-01-01T00:00:00Z'), new Date('2101-01-01T00:00:00Z')]
    const [plain, ended] = [await insert(), await insert({ expires_at: expiresAt, revoked_at: revokedAt })]
    const found = await findKeys(store.db, [plain.id, '0unknown00000', ended.id])
    const [first, second] = [plain, ended].map(({ id }) => found.find((key) => key.id === id))
    expect(found).to.have.length(2)
    const { now, ...facts } = first ?? { now: new Date(0) }
    const common = { merchantId: DEFAULT_MERCHANT_ID, scopes: ['payments:read'] }
    expect(facts).to.deep.equal({ ...plain, ...common, expiresAt: null, revokedAt: null })
    expect(second).to.deep.include({ ...ended, ...common, expiresAt, revokedAt })
    expect(now).to.be.within(rows[0]?.now as Date, new Date(Date.now() + MINUTE_MS))
    expect(await findKeys(store.db, [])).to.deep.equal([])
  })

  it('touchKeys keeps the time of the last use, and writes nothing where it moves on by less than a minute', async () => {
    const [{ id }, untouched] = [await insert(), await insert()]
    const at = (agoMs: number) => new Date(Date.now() - agoMs)
    const written = async () => {
      const { rows } = await sql`select xmin::text from api_keys where id = ${id}`.execute(store.db)
      return rows[0]
    }
    const long = at(5 * MINUTE_MS)
    await touchKeys(store.db, [
      { id, usedAt: long },
      { id: '0unknown00000', usedAt: long },
    ])
    expect(await lastUse(id)).to.deep.equal(long)
    const before = await written()
    for (const agoMs of [6 * MINUTE_MS, 5 * MINUTE_MS, 4.1 * MINUTE_MS])
      await touchKeys(store.db, [{ id, usedAt: at(agoMs) }])
    expect([await lastUse(id), await written()]).to.deep.equal([long, before])
    const later = at(3 * MINUTE_MS)
    await touchKeys(store.db, [{ id, usedAt: later }])
    expect(await lastUse(id)).to.deep.equal(later)
    expect(await lastUse(untouched.id)).to.equal(null)
  })

  it('touchKeys stores no time that the database has not reached', async () => {
    const { id } = await insert()
    await touchKeys(store.db, [{ id, usedAt: new Date(Date.now() + 60 * MINUTE_MS) }])
    expect((await lastUse(id))?.getTime()).to.be.below(Date.now() + MINUTE_MS)
  })

  it('touchKeys skips a key that another transaction is changing, and writes the others', async () => {
    const [held, free] = [await insert(), await insert()]
    const usedAt = new Date()
    await store.db.transaction().execute(async (tx) => {
      await tx.updateTable('api_keys').set({ name: 'held' }).where('id', '=', held.id).execute()
      await touchKeys(
        store.db,
        [held, free].map(({ id }) => ({ id, usedAt })),
      )
    })
    expect(await lastUse(held.id)).to.equal(null)
    expect(await lastUse(free.id)).to.not.equal(null)
  })

  for (const [what, columns] of Object.entries({
    'an id of another form': { id: 'short' },
    'the key of no merchant': { merchant_id: randomUUID() },
    'an empty name': { name: '' },
    'a hash of 31 bytes': { secret_hash: Buffer.alloc(31) },
    'a pepper instead of its id': { pepper_id: 'p'.repeat(32) },
    'no scope': { scopes: [] },
    'an unknown scope': { scopes: ['payments:read', 'payments:delete'] as never },
    'a missing scope': { scopes: [null] as never },
    'an expiry before the creation': { expires_at: new Date(0) },
    'a successor that does not exist': { replaced_by: '0unknown00000' },
  }))
    it(`api_keys refuses ${what}`, async () => {
      const { id } = await insert()
      const changed = await store.db
        .updateTable('api_keys')
        .set(columns)
        .where('id', '=', id)
        .execute()
        .catch((error: { code: string }) => error.code)
      expect(changed).to.match(/^23(503|514)$/)
    })
})

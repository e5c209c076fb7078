import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type Done, findKeys, hashKey, parsePeppers, readKey } from '../../src/index.ts'
import { createKey, createMerchant, listKeys, listMerchants, revokeKey, rotateKey } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const [PEPPER, NEXT_PEPPER] = parsePeppers(`${'p'.repeat(32)},${'q'.repeat(32)}`)
const DAY_MS = 86_400_000
const NO_SUCH_KEY = { done: false, why: 'No key has this id.' }
const NO_SUCH_MERCHANT = { done: false, why: 'No merchant has this id.' }
const UNKNOWN_KEY = '0unknown00000'

/** Returns the facts of a command that has to be done. */
function facts<Facts>(result: Done<Facts>): Facts {
  if (!result.done) throw new Error(result.why)
  return result
}

describe("the operator's functions for merchants and keys", () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const merchant = async (name: string = randomUUID()) =>
    facts(await createMerchant(store.db, { name, by: OPERATOR })).merchant
  const options = (scopes = ['payments:read'] as const) => ({
    merchantId: DEFAULT_MERCHANT_ID,
    name: 'test',
    scopes,
    sandbox: true,
    pepper: PEPPER,
    by: OPERATOR,
  })
  const create = async (more?: Partial<Parameters<typeof createKey>[1]>) =>
    facts(await createKey(store.db, { ...options(), ...more }))
  const rotation = { overlapMs: DAY_MS, sandbox: true, pepper: PEPPER, by: OPERATOR }
  const stored = async (id: string) => defined((await findKeys(store.db, [id]))[0], `key ${id}`)
  /** Moves all times of a key into the past. */
  const age = (id: string, days: number) =>
    sql`update api_keys set created_at = created_at - ${days} * interval '1 day',
      expires_at = expires_at - ${days} * interval '1 day' where id = ${id}`.execute(store.db)

  it('createMerchant creates a merchant, and refuses its name a second time, also at the same time', async () => {
    const name = randomUUID()
    const results = await Promise.all(Array.from({ length: 8 }, () => createMerchant(store.db, { name, by: OPERATOR })))
    const { merchant } = facts(
      defined(
        results.find(({ done }) => done),
        'merchant',
      ),
    )
    expect(results.filter(({ done }) => !done)).to.deep.equal(
      Array.from({ length: 7 }, () => ({ done: false, why: `Merchant ${merchant.id} has this name.` })),
    )
    expect((await listMerchants(store.db)).filter((listed) => listed.name === name)).to.deep.equal([merchant])
  })

  it('createKey stores a hash that its secret verifies, and not the secret', async () => {
    const { key, secret } = await create({ scopes: ['payments:write'] })
    expect(readKey(secret, { sandbox: true })).to.deep.equal({ id: key.id, text: secret })
    expect(await stored(key.id)).to.deep.include({
      merchantId: DEFAULT_MERCHANT_ID,
      hash: hashKey(secret, PEPPER),
      pepperId: PEPPER.id,
      scopes: ['payments:write'],
      expiresAt: null,
      revokedAt: null,
    })
    const { rows } =
      await sql`select * from api_keys where strpos(to_jsonb(api_keys)::text, ${secret.slice(22, 55)}) > 0`.execute(
        store.db,
      )
    expect(rows).to.deep.equal([])
  })

  it('createKey and listKeys refuse a merchant that does not exist', async () => {
    const merchantId = randomUUID()
    expect(await createKey(store.db, { ...options(), merchantId })).to.deep.equal(NO_SUCH_MERCHANT)
    expect(await listKeys(store.db, { merchantId })).to.deep.equal(NO_SUCH_MERCHANT)
  })

  it('listKeys lists the keys of one merchant or of all, with their status by the clock of the database', async () => {
    const [{ id: merchantId }, { id: other }] = [await merchant(), await merchant()]
    const keys = []
    for (const expires of [undefined, { afterMs: DAY_MS }, new Date(Date.now() + 2 * DAY_MS)])
      keys.push(await create({ merchantId, expires }))
    const [first, second, third] = keys.map(({ key }) => key.id)
    await age(defined(second, 'key'), 1)
    await revokeKey(store.db, { id: defined(third, 'key'), by: OPERATOR })
    const list = async (of?: string) => facts(await listKeys(store.db, { merchantId: of })).keys
    const statuses = (await list(merchantId)).map(({ id, status }) => [id, status])
    expect(statuses).to.have.deep.members([
      [first, 'active'],
      [second, 'expired'],
      [third, 'revoked'],
    ])
    expect(await list(other)).to.deep.equal([])
    expect((await list()).map(({ id }) => id)).to.include.members([first, second, third])
  })

  it('revokeKey revokes a key at the time of its first call', async () => {
    const { key } = await create()
    const revoked = facts(await revokeKey(store.db, { id: key.id, by: OPERATOR })).key
    expect(revoked).to.include({ id: key.id, status: 'revoked' })
    expect(await revokeKey(store.db, { id: key.id, by: OPERATOR })).to.deep.equal({ done: true, key: revoked })
    expect((await stored(key.id)).revokedAt).to.deep.equal(revoked.revokedAt)
    expect(await revokeKey(store.db, { id: UNKNOWN_KEY, by: OPERATOR })).to.deep.equal(NO_SUCH_KEY)
  })

  it('rotateKey makes a successor like the key, and both are valid until the overlap has ended', async () => {
    const { key } = await create()
    const pepper = defined(NEXT_PEPPER, 'pepper')
    const { key: successor, secret, former } = facts(await rotateKey(store.db, { ...rotation, id: key.id, pepper }))
    const { merchantId, name, scopes } = key
    expect(successor).to.deep.include({
      merchantId,
      name,
      scopes,
      status: 'active',
      expiresAt: null,
      pepperId: pepper.id,
    })
    expect((await stored(successor.id)).hash).to.deep.equal(hashKey(secret, pepper))
    expect(former).to.include({ id: key.id, status: 'active', replacedBy: successor.id })
    expect(former.expiresAt?.getTime()).to.be.within(Date.now() + DAY_MS - 60_000, Date.now() + DAY_MS + 60_000)
    await age(key.id, 1)
    const { expiresAt, now } = await stored(key.id)
    expect(expiresAt).to.be.below(now)
    expect((await stored(successor.id)).expiresAt).to.equal(null)
  })

  it('rotateKey keeps the lifetime of a key, and no overlap makes it longer', async () => {
    const { key } = await create({ expires: { afterMs: 90 * DAY_MS } })
    await age(key.id, 89.5)
    const { expiresAt } = await stored(key.id)
    const { key: successor, former } = facts(await rotateKey(store.db, { ...rotation, id: key.id }))
    expect(former.expiresAt).to.deep.equal(expiresAt)
    const lifetimeMs = Number(successor.expiresAt) - Number(successor.createdAt)
    expect(lifetimeMs).to.be.within(90 * DAY_MS - 60_000, 90 * DAY_MS + 60_000)
  })

  it('rotateKey makes one successor of a key, however often it runs, and names it', async () => {
    const { id: merchantId } = await merchant()
    const { key } = await create({ merchantId })
    const rotate = () => rotateKey(store.db, { ...rotation, id: key.id })
    const results = await Promise.all(Array.from({ length: 4 }, rotate))
    const { key: successor } = facts(
      defined(
        results.find(({ done }) => done),
        'successor',
      ),
    )
    for (const result of [...results.filter(({ done }) => !done), await rotate()])
      expect(result).to.have.property('why').that.includes(`Key ${successor.id} has replaced it`)
    expect(facts(await listKeys(store.db, { merchantId })).keys).to.have.length(2)
  })

  it('rotateKey refuses a key that is revoked, expired or unknown', async () => {
    const [{ key: revoked }, { key: expired }] = [await create(), await create({ expires: { afterMs: DAY_MS } })]
    await revokeKey(store.db, { id: revoked.id, by: OPERATOR })
    await age(expired.id, 2)
    for (const [id, why] of [
      [revoked.id, 'The key is revoked. Create another one.'],
      [expired.id, 'The key is expired. Create another one.'],
      [UNKNOWN_KEY, NO_SUCH_KEY.why],
    ] as const)
      expect(await rotateKey(store.db, { ...rotation, id })).to.deep.equal({ done: false, why })
  })

  it('rotateKey stores no successor if the former key cannot be changed', async () => {
    const { id: merchantId } = await merchant()
    const { key } = await create({ merchantId })
    await age(key.id, -2) // It cannot expire before it was created.
    const failed = await rotateKey(store.db, { ...rotation, id: key.id }).catch((error) => error)
    expect(failed).to.include({ code: '23514' })
    expect(facts(await listKeys(store.db, { merchantId })).keys).to.have.length(1)
  })

  it('createKey: is refused while another session has locked the table of keys', async () => {
    const other = await openClient(store.database.url)
    await other.query('begin')
    await other.query('lock table api_keys in share mode')
    const result = await createKey(store.db, options())
    await other.end()
    expect(result).to.have.property('why').that.includes('Another session has locked it')
  })

  it('revokeKey, rotateKey, createMerchant: are refused while another session has locked the row', async () => {
    const { key } = await create()
    const name = randomUUID()
    const other = await openClient(store.database.url)
    await other.query('begin')
    await other.query('select 1 from api_keys where id = $1 for update', [key.id])
    await other.query('insert into merchants (id, name) values (gen_random_uuid(), $1)', [name])
    const results = await Promise.all([
      revokeKey(store.db, { id: key.id, by: OPERATOR }),
      rotateKey(store.db, { id: key.id, ...rotation }),
      createMerchant(store.db, { name, by: OPERATOR }),
    ])
    await other.end()
    for (const result of results) expect(result).to.have.property('why').that.includes('Another session has locked it')
  })
})

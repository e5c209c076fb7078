import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { unparkPayment } from '../../src/payments/parked.ts'
import { type Cause, findReleased, parkPayment, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

describe('saveRetry, findReleased and parkPayment', () => {
  let store: TestStore
  let id: string
  before(async () => {
    store = await createTestStore(4)
  })
  after(() => store.drop())
  beforeEach(async () => {
    id = (await store.insert()).id
    await sql`update payments set attempts = 4, refusals = 2 where id = ${id}`.execute(store.db)
  })

  const claim = () =>
    claimPayment(store.db, id, { token: randomUUID(), leaseMs: 20_000, attemptsMax: 10, redriveAfterMs: 60_000 })
  const row = () => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const save = (cause: Cause) =>
    store.db.transaction().execute((tx) => saveRetry(tx, id, { cause, delayMsAfter: () => 0, redriveAfterMs: 60_000 }))

  for (const [cause, attempts, refusals] of [
    ['unanswered', 5, 2],
    ['refused', 4, 3],
    ['pending', 0, 0],
    ['uncounted', 4, 2],
  ] as const) {
    it(`saves the counts of a claim whose cause is ${cause}, and since when the provider has not decided`, async () => {
      expect(await claim()).to.include({ verdict: 'claimed', attempts: 4, pending: false })
      expect(await save(cause)).to.include({ attempts, refusals, delayMs: 0 })
      const released = await row()
      expect(released).to.include({ attempts, refusals, claim_token: null })
      expect(released.provider_pending_since !== null).to.equal(cause === 'pending')
      const found = store.db.transaction().execute((tx) => findReleased(tx, id, { attempts }))
      expect(await found).to.include({ parked: false, refusals })
      expect(await claim()).to.include({ verdict: 'claimed', attempts, pending: cause === 'pending' })
    })
  }

  it('keeps the time of the first pending answer through all later answers', async () => {
    const ages: (number | undefined)[] = []
    for (const cause of ['unanswered', 'pending', 'unanswered', 'refused', 'pending', 'uncounted'] as const) {
      await claim()
      ages.push((await save(cause)).pendingMs)
      await sql`update payments set provider_pending_since = provider_pending_since - interval '1 hour'
        where id = ${id}`.execute(store.db)
    }
    expect(ages.map((ms) => ms && Math.floor(ms / 3_600_000))).to.deep.equal([undefined, 0, 1, 2, 3, 4])
  })

  const claimOf = () => ({ token: randomUUID(), leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })
  const expireLease = () => sql`update payments set lease_until = to_timestamp(0) where id = ${id}`.execute(store.db)

  it('counts an attempt without an answer, and refuses claims until the next attempt is due', async () => {
    id = (await store.insert()).id
    await claimPayment(store.db, id, claimOf())
    const postponed = await store.db
      .transaction()
      .execute((tx) => saveRetry(tx, id, { delayMsAfter: ({ attempts }) => attempts * 60_000, redriveAfterMs: 60_000 }))
    expect(postponed).to.include({ attempts: 1, refusals: 0, delayMs: 60_000 })
    const claim = await claimPayment(store.db, id, claimOf())
    expect(claim.verdict === 'leased' && claim.leaseLeftMs).to.be.within(1, 60_000)
    await expireLease()
    expect(await claimPayment(store.db, id, claimOf())).to.deep.include({ verdict: 'claimed', attempts: 1 })
  })

  it('parks a payment, which has no redrive then, unless a worker holds it', async () => {
    id = (await store.insert()).id
    await claimPayment(store.db, id, claimOf())
    const park = () => store.db.transaction().execute((tx) => parkPayment(tx, id, 1))
    expect(await park()).to.equal(false)
    await expireLease()
    expect(await park()).to.equal(true)
    expect(await row()).to.include({ status: 'PENDING', redrive_at: null, claim_token: null, attempts: 1 })
    expect(await park()).to.equal(false)
  })

  // Promise 30
  it('parks no payment for attempts that an operator has reset since', async () => {
    id = (await store.insert()).id
    const park = (attempts: number) => store.db.transaction().execute((tx) => parkPayment(tx, id, attempts))
    await sql`update payments set attempts = 3 where id = ${id}`.execute(store.db)
    expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'exhausted', attempts: 3 })
    expect(await park(3)).to.equal(true)
    await store.db.transaction().execute((tx) => unparkPayment(tx, id))
    expect(await park(3)).to.equal(false)
    expect(await row()).to.include({ attempts: 1, parked_at: null })
  })
})

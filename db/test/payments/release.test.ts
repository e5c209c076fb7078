import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type Cause, findReleased, saveRetry } from '../../src/index.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

describe('a claim that ends before its payment is settled', () => {
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
    it(`has the counts that follow when it is ${cause}, and knows since when the provider has not decided`, async () => {
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

  it('keeps the time of the first pending answer through all that follow', async () => {
    const ages: (number | undefined)[] = []
    for (const cause of ['unanswered', 'pending', 'unanswered', 'refused', 'pending', 'uncounted'] as const) {
      await claim()
      ages.push((await save(cause)).pendingMs)
      await sql`update payments set provider_pending_since = provider_pending_since - interval '1 hour'
        where id = ${id}`.execute(store.db)
    }
    expect(ages.map((ms) => ms && Math.floor(ms / 3_600_000))).to.deep.equal([undefined, 0, 1, 2, 3, 4])
  })
})

import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID, type Payment, settlePayment, type TransitionResult } from '@cashflow/domain'
import { eventually, nullLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, findPayment } from '../../src/index.ts'
import { claimPayments, parkPayment } from '../../src/worker.ts'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

const OPTIONS = { leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 }

describe('claimPayments', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const set = (id: string, assignments: string) =>
    sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(store.db)
  const insertMany = (count: number) =>
    Promise.all(Array.from({ length: count }, async () => (await store.insert()).id))
  const claimsOf = (ids: readonly string[]) => ids.map((id) => ({ id, token: randomUUID() }))

  const claimOf = (token: string = randomUUID()) => ({ ...OPTIONS, token })
  const expireLease = (id: string) => set(id, 'lease_until = to_timestamp(0)')

  it('leases a PENDING payment to the claim for `leaseMs`', async () => {
    const { id } = await store.insert()
    const options = claimOf()
    const claim = await claimPayment(store.db, id, options)
    expect(claim).to.deep.include({ verdict: 'claimed', attempts: 0 })
    const { claim_token, lease_until, redrive_at } = await row(id)
    expect(claim_token).to.equal(options.token)
    expect(Number(lease_until)).to.be.closeTo(Date.now() + 20_000, 5_000)
    // The redrive of the insert is due after the lease's end, so it stays.
    expect(Number(redrive_at)).to.be.closeTo(Date.now() + 60_000, 5_000)
  })

  it('moves a redrive behind a lease that ends after it', async () => {
    const { id } = await store.insert()
    await claimPayment(store.db, id, { ...claimOf(), leaseMs: 70_000 })
    expect(Number((await row(id)).redrive_at)).to.be.closeTo(Date.now() + 130_000, 5_000)
  })

  it('moves a redrive forward that earlier redrives have moved far away', async () => {
    const { id } = await store.insert()
    await sql`update payments set redrives = 6, redrive_at = now() + interval '1 hour' where id = ${id}`.execute(
      store.db,
    )
    await claimPayment(store.db, id, claimOf())
    const { redrive_at, redrives } = await row(id)
    expect(Number(redrive_at)).to.be.closeTo(Date.now() + 80_000, 5_000)
    expect(redrives).to.equal(0)
  })

  // Promise 15
  it('gives a payment to one of 16 concurrent claims', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id } = await store.insert()
      const claims = await Promise.all(Array.from({ length: 16 }, () => claimPayment(store.db, id, claimOf())))
      const verdicts = claims.map(({ verdict }) => verdict).sort()
      expect(verdicts).to.deep.equal(['claimed', ...Array.from({ length: 15 }, () => 'leased')])
    }
  })

  it('tells how long the lease of another claim lasts', async () => {
    const { id } = await store.insert()
    await claimPayment(store.db, id, claimOf())
    const claim = await claimPayment(store.db, id, claimOf())
    expect(claim.verdict === 'leased' && claim.leaseLeftMs).to.be.within(1, 20_000)
  })

  it('finds its own lease when the claim is repeated', async () => {
    const { id } = await store.insert()
    const options = claimOf()
    await claimPayment(store.db, id, options)
    expect(await claimPayment(store.db, id, options)).to.deep.include({ verdict: 'claimed', attempts: 0 })
  })

  it('counts a lease that ran out as an attempt, and refuses more than `attemptsMax` attempts', async () => {
    const { id } = await store.insert()
    for (let attempts = 0; attempts < 3; attempts += 1) {
      expect(await claimPayment(store.db, id, claimOf())).to.deep.include({ verdict: 'claimed', attempts })
      await expireLease(id)
    }
    expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'exhausted', attempts: 3 })
  })

  it('tells that a payment is parked, and that no payment has an id', async () => {
    const { id } = await store.insert()
    await store.db.transaction().execute((tx) => parkPayment(tx, id, 0))
    expect(await claimPayment(store.db, id, claimOf())).to.deep.equal({ verdict: 'parked' })
    expect(await claimPayment(store.db, randomUUID(), claimOf())).to.deep.equal({ verdict: 'unknown' })
  })

  it('judges each payment of a batch as it would judge it alone', async () => {
    const ids = await insertMany(8)
    const [free, leased, settled, parked, exhausted, own, ranOut, waits] = ids as [string, ...string[]]
    const token = randomUUID()
    for (const id of [leased, settled, own] as string[])
      await claimPayment(store.db, id, { ...OPTIONS, token: id === leased ? randomUUID() : token })
    const payment = (await findPayment(store.db, { merchantId: DEFAULT_MERCHANT_ID, id: settled as string })) as Payment
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date()) as TransitionResult & {
      settled: true
    }
    const by = { actor: 'worker', requestId: undefined, previousHash: null }
    await storeSettlements(store.db, [{ ...settlement, token, ...by, messages: [] }])
    await store.db.transaction().execute((tx) => parkPayment(tx, parked as string, 0))
    await set(exhausted as string, 'attempts = 3')
    await set(ranOut as string, `claim_token = '${randomUUID()}', lease_until = now(), attempts = 1`)
    await set(waits as string, `lease_until = now() + interval '1 minute'`)
    const absent = randomUUID()

    // In another order than that of the ids and that of the inserts.
    const claims = [absent, ...ids.toReversed()].map((id) => ({ id, token: id === own ? token : randomUUID() }))
    const made = await claimPayments(store.db, claims, OPTIONS)
    const verdicts = new Map(made.map((claim, index) => [claims[index]?.id, claim]))
    expect(verdicts.get(free)).to.deep.include({ verdict: 'claimed', attempts: 0 })
    expect(verdicts.get(leased)).to.include({ verdict: 'leased' })
    expect(verdicts.get(settled)).to.deep.equal({ verdict: 'settled', status: 'SUCCESS' })
    expect(verdicts.get(parked)).to.deep.equal({ verdict: 'parked' })
    expect(verdicts.get(exhausted)).to.deep.equal({ verdict: 'exhausted', attempts: 3 })
    expect(verdicts.get(own)).to.deep.include({ verdict: 'claimed', attempts: 0 })
    expect(verdicts.get(ranOut)).to.deep.include({ verdict: 'claimed', attempts: 2 })
    expect(verdicts.get(waits)).to.include({ verdict: 'leased' })
    expect(verdicts.get(absent)).to.deep.equal({ verdict: 'unknown' })
    for (const [index, claim] of made.entries()) {
      const { id = '', token } = claims[index] ?? {}
      if (claim.verdict === 'claimed') expect(claim.payment.id).to.equal(id)
      if (id !== absent && id !== settled)
        expect((await row(id)).claim_token === token, `${claim.verdict} ${id}`).to.equal(claim.verdict === 'claimed')
    }
  })

  it('gives a payment to one of several claims of the same batch', async () => {
    const [id = '', other = ''] = await insertMany(2)
    const claims = claimsOf([id, other, id, id])
    const made = await claimPayments(store.db, claims, OPTIONS)
    const holders = made.flatMap(({ verdict }, index) => (verdict === 'claimed' ? [claims[index]?.token] : []))
    expect(holders).to.have.members([(await row(id)).claim_token, (await row(other)).claim_token])
    expect(made.filter(({ verdict }) => verdict === 'leased')).to.have.length(2)
    // The claim that held the payment, and repeats because its answer was lost, comes before a new one.
    await set(id, 'lease_until = now()')
    const [mine] = claims.filter(({ token }) => holders.includes(token))
    const again = await claimPayments(store.db, [...claimsOf([id]), mine as (typeof claims)[0]], OPTIONS)
    expect(again.map(({ verdict }) => verdict)).to.deep.equal(['leased', 'claimed'])
    expect(await row(id)).to.include({ claim_token: mine?.token, attempts: 0 })
  })

  it('shortens no lease when the first attempt of a claim is executed after its repetition', async () => {
    const [id = ''] = await insertMany(1)
    const claims = claimsOf([id])
    await claimPayments(store.db, claims, { ...OPTIONS, leaseMs: 40_000 })
    const { lease_until } = await row(id)
    await claimPayments(store.db, claims, OPTIONS)
    expect((await row(id)).lease_until).to.deep.equal(lease_until)
  })

  it('claims each payment for one of two workers, without a deadlock, when their batches have opposite orders', async () => {
    const options = {
      url: store.database.url,
      applicationName: 'worker',
      poolMax: 1,
      statementMs: 60_000,
      logger: nullLogger,
    }
    const workers = [createDatabase(options), createDatabase(options)]
    try {
      for (const worker of workers) await sql`set lock_timeout = 0`.execute(worker)
      const ids = (await insertMany(9)).toSorted()
      // Each of them stops at the payment in the middle, with locks on those before it.
      const begun = await store.db.transaction().execute(async (tx) => {
        await sql`select from payments where id = ${ids[4]} for update`.execute(tx)
        const claiming = workers.map((worker, index) =>
          claimPayments(worker, claimsOf(index === 0 ? ids : ids.toReversed()), OPTIONS),
        )
        await eventually(async () => {
          const { rows } = await sql`select from pg_stat_activity
            where datname = current_database() and application_name = 'worker' and wait_event_type = 'Lock'`.execute(
            store.db,
          )
          expect(rows).to.have.length(2)
        })
        return { claiming }
      })
      const made = await Promise.all(begun.claiming)
      const claimed = made.flatMap((claims) => claims.flatMap((c) => (c.verdict === 'claimed' ? [c.payment.id] : [])))
      expect(claimed.toSorted()).to.deep.equal(ids)
    } finally {
      await Promise.all(workers.map((worker) => worker.destroy()))
    }
  })
})

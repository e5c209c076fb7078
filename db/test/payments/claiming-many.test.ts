import { randomUUID } from 'node:crypto'
import { type Payment, settlePayment, type TransitionResult } from '@cashflow/domain'
import { createLogger } from '@cashflow/runtime'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { claimPayments, createDatabase, findPayment, parkPayment } from '../../src/index.ts'
import { claimPayment, createTestStore, storeSettlements, type TestStore } from '../test-store.ts'

const OPTIONS = { leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 }

describe('claiming many payments in one statement', () => {
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

  it('judges each as a claim of its own would', async () => {
    const ids = await insertMany(8)
    const [free, leased, settled, parked, exhausted, own, ranOut, waits] = ids as [string, ...string[]]
    const token = randomUUID()
    for (const id of [leased, settled, own] as string[])
      await claimPayment(store.db, id, { ...OPTIONS, token: id === leased ? randomUUID() : token })
    const payment = (await findPayment(store.db, settled as string)) as Payment
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date()) as TransitionResult & {
      settled: true
    }
    await storeSettlements(store.db, [{ ...settlement, token, actor: 'worker', requestId: undefined, messages: [] }])
    await store.db.transaction().execute((tx) => parkPayment(tx, parked as string, 0))
    await set(exhausted as string, 'attempts = 3')
    await set(ranOut as string, `claim_token = '${randomUUID()}', lease_until = now(), attempts = 1`)
    await set(waits as string, `lease_until = now() + interval '1 minute'`)
    const absent = randomUUID()

    // Neither as the ids are ordered, nor as they were stored.
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

  it('gives a payment that is named several times to one of the claims', async () => {
    const [id = '', other = ''] = await insertMany(2)
    const claims = claimsOf([id, other, id, id])
    const made = await claimPayments(store.db, claims, OPTIONS)
    const holders = made.flatMap(({ verdict }, index) => (verdict === 'claimed' ? [claims[index]?.token] : []))
    expect(holders).to.have.members([(await row(id)).claim_token, (await row(other)).claim_token])
    expect(made.filter(({ verdict }) => verdict === 'leased')).to.have.length(2)
    // Rather to the one that has had it, and did not hear of it.
    await set(id, 'lease_until = now()')
    const [mine] = claims.filter(({ token }) => holders.includes(token))
    const again = await claimPayments(store.db, [...claimsOf([id]), mine as (typeof claims)[0]], OPTIONS)
    expect(again.map(({ verdict }) => verdict)).to.deep.equal(['leased', 'claimed'])
    expect(await row(id)).to.include({ claim_token: mine?.token, attempts: 0 })
  })

  it('shortens no lease when an earlier attempt is executed after its repetition', async () => {
    const [id = ''] = await insertMany(1)
    const claims = claimsOf([id])
    await claimPayments(store.db, claims, { ...OPTIONS, leaseMs: 40_000 })
    const { lease_until } = await row(id)
    await claimPayments(store.db, claims, OPTIONS)
    expect((await row(id)).lease_until).to.deep.equal(lease_until)
  })

  it('gives each payment to one of two workers that name them in opposite orders, and deadlocks neither', async () => {
    const logger = createLogger({ service: 'test', level: 'error' })
    const options = { url: store.database.url, applicationName: 'worker', poolMax: 1, statementMs: 60_000, logger }
    const workers = [createDatabase(options), createDatabase(options)]
    try {
      for (const worker of workers) await sql`set lock_timeout = 0`.execute(worker)
      const ids = (await insertMany(9)).toSorted()
      // Both are stopped half-way, each with what it has locked by then.
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

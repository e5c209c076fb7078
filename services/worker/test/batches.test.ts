import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { createDatabase, type Tables } from '@cashflow/db'
import { eventually, startTcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { type Batches, createBatches } from '../src/batches.ts'
import { settlementOf } from '../src/outcomes.ts'
import { processPayment } from '../src/process-payment.ts'
import type { ProviderAnswer } from '../src/provider/provider.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const APPROVED = { outcome: 'approved' } as const
const DECLINED = { outcome: 'declined', failureCode: 'card_declined' } as const
const OPTIONS = { providerDeadlineMs: 60_000, redriveAfterMs: 60_000, attemptsMax: 10 }

describe('batches of claims and settlements', () => {
  let payments: TestWorker
  /** One session, with a lock_timeout of 50 ms. */
  let db: Kysely<Tables>
  let ids: string[]

  before(async () => {
    payments = await createTestWorker(4)
    db = createDatabase({ ...hasty(), url: payments.database.url })
    await sql`set lock_timeout = '50ms'`.execute(db)
  })
  after(async () => {
    await db.destroy()
    await payments.drop()
  })
  beforeEach(async () => {
    ids = await Promise.all(Array.from({ length: 5 }, () => payments.pending()))
  })

  const hasty = () => ({ applicationName: 'batches', poolMax: 1, logger: payments.logger })
  const idAt = (index: number) => defined(ids[index], 'payment')
  const claimsOf = (some: string[]) => some.map((id) => ({ id, token: randomUUID() }))
  /** Claims the payments, and returns a settlement of each. */
  const settlingsOf = (claimed: { id: string; token: string }[], { claims }: Batches) =>
    Promise.all(
      claimed.map(async (one, index) => {
        const { claim } = await claims.commit(one)
        if (claim.verdict !== 'claimed') throw new Error(claim.verdict)
        const by = { token: one.token, requestId: 'r-2', previousHash: claim.lastHash }
        return settlementOf(claim.payment, index % 2 === 0 ? APPROVED : DECLINED, by)
      }),
    )
  const outcomeOf = async <Result>(work: Promise<Result>) => work.catch(({ code }: { code: string }) => code)
  const hold = <Result>(id: string, work: () => Promise<Result>) =>
    payments.db.transaction().execute(async (tx) => {
      await sql`select from payments where id = ${id} for update`.execute(tx)
      return await work()
    })

  async function ends() {
    const { rows } = await sql<{ status: string; events: string[]; messages: string[] }>`
      select status, array(select type || ' ' || coalesce(request_id, '') from payment_events
          where payment_id = p.id and sequence > 1) as events,
        array(select topic || ' ' || (headers ->> 'x-request-id') from outbox_messages where key = p.id::text) as messages
      from payments p where id = any(${ids}) order by array_position(${ids}::uuid[], id)`.execute(payments.db)
    return rows
  }
  const SUCCESS = { status: 'SUCCESS', events: ['payment.succeeded r-2'], messages: ['payment.succeeded r-2'] }
  const FAILED = { status: 'FAILED', events: ['payment.failed r-2'], messages: ['payment.failed r-2'] }
  const PENDING = { status: 'PENDING', events: [], messages: [] }

  it('claim the other payments of a batch while another session has locked one, and that one after the lock has ended', async () => {
    const { claims } = createBatches({ db, ...OPTIONS })
    const wanted = claimsOf(ids)
    const verdictOf = async (claim: (typeof wanted)[0]) =>
      outcomeOf(claims.commit(claim).then((timed) => timed.claim.verdict))
    const verdicts = await hold(idAt(2), () => Promise.all(wanted.map(verdictOf)))
    expect(verdicts).to.deep.equal(['claimed', 'claimed', '55P03', 'claimed', 'claimed'])
    expect(await verdictOf(defined(wanted[2], 'claim'))).to.equal('claimed')
  })

  it('settle the other payments of a batch while another session has locked one, and that one after the lock has ended', async () => {
    const batches = createBatches({ db, ...OPTIONS })
    const settlings = await settlingsOf(claimsOf(ids), batches)
    const { settlements } = batches
    const settle = (settling: (typeof settlings)[0]) => outcomeOf(settlements.commit(settling))
    const statuses = await hold(idAt(1), () => Promise.all(settlings.map(settle)))
    expect(statuses).to.deep.equal(['SUCCESS', '55P03', 'SUCCESS', 'FAILED', 'SUCCESS'])
    expect(await ends()).to.deep.equal([SUCCESS, PENDING, SUCCESS, FAILED, SUCCESS])
    expect(await settle(defined(settlings[1], 'settlement'))).to.equal('FAILED')
    expect(await ends()).to.deep.equal([SUCCESS, FAILED, SUCCESS, FAILED, SUCCESS])
  })

  it('settle the other payments of a batch when the claim of one was lost, and leave that one alone', async () => {
    const batches = createBatches({ db, ...OPTIONS })
    const settlings = await settlingsOf(claimsOf(ids), batches)
    const { claims, settlements } = batches
    await payments.expireLease(idAt(0))
    const taken = { id: idAt(0), token: randomUUID() }
    expect((await claims.commit(taken)).claim.verdict).to.equal('claimed')
    const statuses = await Promise.all(settlings.map((settling) => settlements.commit(settling)))
    expect(statuses).to.deep.equal([undefined, 'FAILED', 'SUCCESS', 'FAILED', 'SUCCESS'])
    expect(await ends()).to.deep.equal([PENDING, FAILED, SUCCESS, FAILED, SUCCESS])
    expect((await payments.row(idAt(0))).claim_token).to.equal(taken.token)
  })

  it('settle each payment once, with one event and one message, when the answer to the statement is lost', async () => {
    const proxy = await startTcpProxy(payments.database.url)
    const doubtful = createDatabase({ ...hasty(), url: proxy.url })
    try {
      const batches = createBatches({ db: doubtful, ...OPTIONS })
      const answer = Promise.withResolvers<void>()
      let asked = 0
      const charge = async ({ id }: { id: string }): Promise<ProviderAnswer> => {
        asked += 1
        await answer.promise
        return ids.indexOf(id) % 2 === 0 ? APPROVED : DECLINED
      }
      const options = { db: doubtful, batches, charge, logger: payments.logger, settled() {}, ...OPTIONS }
      const { signal } = new AbortController()
      const processed = ids.map((paymentId) =>
        processPayment({ paymentId, messageId: undefined, requestId: 'r-2' }, options, signal),
      )
      await eventually(() => expect(asked).to.equal(5))
      proxy.loseAnswerTo('with "settling"')
      answer.resolve()
      expect(await Promise.all(processed)).to.deep.equal(ids.map(() => 'settled'))
      expect(proxy.lost).to.equal(1)
      expect(await ends()).to.deep.equal([SUCCESS, FAILED, SUCCESS, FAILED, SUCCESS])
    } finally {
      await doubtful.destroy()
      await proxy.stop()
    }
  })
})

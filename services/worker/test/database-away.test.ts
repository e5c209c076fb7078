import { randomUUID } from 'node:crypto'
import { createDatabase, type Tables } from '@cashflow/db'
import { eventually, startTcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type { Clock } from '../src/time-limit.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

describe('handler of deliveries while the database fails', () => {
  let payments: TestWorker
  let admin: Kysely<Tables>

  before(async () => {
    payments = await createTestWorker(4)
    const elsewhere = new URL('/postgres', payments.database.url).href
    admin = createDatabase({ url: elsewhere, applicationName: 'admin', poolMax: 1, logger: payments.logger })
  })
  after(async () => {
    await admin.destroy()
    await payments.drop()
  })
  beforeEach(() => {
    payments.lines.length = 0
  })

  const execute = (statement: string) => sql.raw(statement).execute(admin)
  const endSessions = () =>
    execute(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${payments.database.name}'`)

  const unreachable = () =>
    createDatabase({
      url: 'postgres://u:p@127.0.0.1:1/x',
      applicationName: 'test',
      poolMax: 1,
      logger: payments.logger,
    })

  function createWorker({
    db = payments.db,
    onCharge = async () => {},
    clocks,
  }: {
    db?: Kysely<Tables>
    onCharge?: () => Promise<void>
    clocks?: Clock[]
  } = {}) {
    const provider = {
      async charge() {
        await onCharge()
        return { outcome: 'approved' } as const
      },
    }
    return createTestHandler({ db, logger: payments.logger }, provider, { clocks })
  }

  // Promise 20
  it('keeps deliveries while the database accepts no connections, and settles their payments afterwards', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => payments.pending()))
    const worker = createWorker()
    await execute(`alter database ${payments.database.name} with allow_connections false`)
    await endSessions()
    const handled = ids.map((id) => worker.handle(delivery(id)))
    await eventually(() =>
      expect(payments.logged().filter((line) => line === 'database away, trying again').length).to.be.above(20),
    )
    await execute(`alter database ${payments.database.name} with allow_connections true`)
    expect(new Set(await Promise.all(handled))).to.deep.equal(new Set(['ack']))
    const { rows } = await sql<{ status: string }>`select distinct status from payments`.execute(payments.db)
    expect(rows).to.deep.equal([{ status: 'SUCCESS' }])
    await worker.stopAdmission()
  })

  it('rejects a message after an error that another attempt cannot change, and logs that', async () => {
    const id = await payments.pending()
    const worker = createWorker()
    await sql`alter table payments rename column claim_token to renamed`.execute(payments.db)
    expect(await worker.handle(delivery(id))).to.equal('reject')
    expect(payments.logged()).to.include('payment could not be processed, message rejected')
    await sql`alter table payments rename column renamed to claim_token`.execute(payments.db)
    expect(await worker.handle(delivery(id))).to.equal('ack')
    await worker.stopAdmission()
  })

  // Promise 20
  it('settles payments although the database ends the sessions again and again', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => payments.pending()))
    let calls = 0
    const onCharge = async () => {
      calls += 1
      if (calls % 5 === 0) await endSessions()
    }
    const worker = createWorker({ onCharge })
    const settlements = await Promise.all(ids.map((id) => worker.handle(delivery(id))))
    expect(new Set(settlements)).to.deep.equal(new Set(['ack']))
    const { rows } = await sql<{ history: string[] }>`
      select array_agg(type order by sequence) as history from payment_events
      where payment_id = any(${ids}) group by payment_id`.execute(payments.db)
    expect(rows).to.deep.equal(ids.map(() => ({ history: ['payment.created', 'payment.succeeded'] })))
    await worker.stopAdmission()
  })

  // Promise 23
  it('leaves a delivery whose channel is gone, as long as its payment is not claimed', async () => {
    const nowhere = unreachable()
    const worker = createWorker({ db: nowhere })
    const channel = new AbortController()
    const handled = Array.from({ length: 20 }, () => worker.handle(delivery(randomUUID(), { signal: channel.signal })))
    await eventually(() => expect(payments.logged()).to.include('database away, trying again'))
    channel.abort(new Error('the channel is gone'))
    expect(new Set(await Promise.all(handled))).to.deep.equal(new Set(['leave']))
    await worker.stopAdmission()
    await nowhere.destroy()
  })

  // Promise 15
  it('claims again when the answer to a claim came too late to charge within the lease', async () => {
    const proxy = await startTcpProxy(payments.database.url)
    const { logger } = payments
    // A long statement limit: a machine that stalls must not close the session before the answer is released.
    const db = createDatabase({ url: proxy.url, applicationName: 'test', poolMax: 1, statementMs: 60_000, logger })
    const id = await payments.pending()
    const leaseUntil = async () => (await payments.row(id)).lease_until
    let chargedUntil: Date | null = null
    const onCharge = async () => {
      chargedUntil = await leaseUntil()
    }
    let now = 0
    const worker = createWorker({ db, onCharge, clocks: [() => now] })
    proxy.holdAnswerTo('with "locked"')
    const handled = worker.handle(delivery(id))
    await eventually(async () => expect(await leaseUntil(), 'claimed').not.to.equal(null))
    await payments.set(id, `lease_until = lease_until - interval '1 second'`)
    const claimedUntil = await leaseUntil()
    now += 5_000
    proxy.restore()
    expect(await handled).to.equal('ack')
    expect(Number(chargedUntil), 'claimed again').to.be.above(Number(claimedUntil))
    await worker.stopAdmission()
    await db.destroy()
    await proxy.stop()
  })

  it('gives up when the worker stops while the database is away', async () => {
    const nowhere = unreachable()
    const worker = createWorker({ db: nowhere })
    const handled = worker.handle(delivery(randomUUID())).then(
      () => undefined,
      (error: Error) => error,
    )
    await eventually(() => expect(payments.logged()).to.include('database away, trying again'))
    await worker.stop()
    expect((await handled)?.name).to.equal('AbortError')
    await worker.stopAdmission()
    await nowhere.destroy()
  })
})

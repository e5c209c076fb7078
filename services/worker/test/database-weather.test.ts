import { randomUUID } from 'node:crypto'
import { createDatabase, insertPayment, type Tables } from '@cashflow/db'
import { createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createTestDatabase, eventually, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createBreaker } from '../src/breaker.ts'
import { createHandler } from '../src/handle-delivery.ts'

describe('handling deliveries while the database is in trouble', () => {
  let database: TestDatabase
  let db: Kysely<Tables>
  let admin: Kysely<Tables>
  const lines: string[] = []
  const write = (message: string) => lines.push(message)
  const logger = { debug: write, info: write, warn: write, error: write }

  before(async () => {
    database = await createTestDatabase()
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 4, logger })
    const elsewhere = new URL('/postgres', database.url).href
    admin = createDatabase({ url: elsewhere, applicationName: 'admin', poolMax: 1, logger })
  })
  after(async () => {
    await Promise.all([db.destroy(), admin.destroy()])
    await database.drop()
  })
  beforeEach(() => {
    lines.length = 0
  })

  const execute = (statement: string) => sql.raw(statement).execute(admin)
  const endSessions = () =>
    execute(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${database.name}'`)

  async function pending(): Promise<string> {
    const { payment, event } = createPayment({
      id: randomUUID(),
      merchantId: DEFAULT_MERCHANT_ID,
      reference: randomUUID(),
      money: { amountMinor: 100n, currency: 'USD' },
      at: new Date(),
    })
    const options = { requestId: 'r-1', redriveAfterMs: 60_000 }
    await db.transaction().execute((tx) => insertPayment(tx, payment, event, options))
    return payment.id
  }

  function createWorker() {
    const provider = { charge: async () => ({ outcome: 'approved' }) as const }
    const breaker = createBreaker({ provider, logger, failuresMax: 10, openMs: 1_000 })
    const options = { db, logger, notify: () => {}, providerDeadlineMs: 2_000, redriveAfterMs: 60_000 }
    return { ...createHandler({ ...options, breaker }), stopBreaker: () => breaker.stop() }
  }
  const delivery = (paymentId: string) => ({
    body: Buffer.from(paymentId),
    messageId: undefined,
    topic: 'payment.created',
    headers: {},
    redelivered: false,
    signal: new AbortController().signal,
  })

  it('keeps them in hand while the database takes no connections, and settles them afterwards', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, pending))
    const worker = createWorker()
    await execute(`alter database ${database.name} with allow_connections false`)
    await endSessions()
    const handled = ids.map((id) => worker.handle(delivery(id)))
    await eventually(() =>
      expect(lines.filter((line) => line === 'database away, trying again').length).to.be.above(20),
    )
    await execute(`alter database ${database.name} with allow_connections true`)
    expect(new Set(await Promise.all(handled))).to.deep.equal(new Set(['ack']))
    const { rows } = await sql<{ status: string }>`select distinct status from payments`.execute(db)
    expect(rows).to.deep.equal([{ status: 'SUCCESS' }])
    await worker.stopBreaker()
  })

  it('rejects what PostgreSQL will always refuse, and says so', async () => {
    const id = await pending()
    const worker = createWorker()
    await sql`alter table payments rename column claim_token to renamed`.execute(db)
    expect(await worker.handle(delivery(id))).to.equal('reject')
    expect(lines).to.include('payment could not be processed, message rejected')
    await sql`alter table payments rename column renamed to claim_token`.execute(db)
    expect(await worker.handle(delivery(id))).to.equal('ack')
    await worker.stopBreaker()
  })
})

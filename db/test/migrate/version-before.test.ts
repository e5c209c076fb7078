import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { type Currency, DEFAULT_MERCHANT_ID, metadataOf } from '@cashflow/domain'
import { aPayment, eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createDatabase, findPayment, type PaymentInsert, serviceSession, type Tables } from '../../src/index.ts'
import { storePayments } from '../test-store.ts'
import { createEmptyDatabase, type FormerDatabase, logger, migrateAll, migrateUpTo } from './former-database.ts'
import { API_BEFORE, apiBefore, BEFORE, digestOf, fill, keptColumns, PAYMENTS } from './version-before.ts'

const LATER = ['0015_drop_request_hash', '0021_event_hashes']

describe('migrate from the version before keys of merchants', () => {
  let database: FormerDatabase
  let opened: Kysely<Tables>[]
  before(async () => {
    database = await createEmptyDatabase()
    opened = []
    await migrateUpTo(database.db, BEFORE)
    await fill(database.db)
  })
  after(async () => {
    for (const db of opened) await db.destroy()
    await database.drop()
  })

  function connect(applicationName: string): Kysely<Tables> {
    const db = createDatabase({ url: database.url, applicationName, poolMax: 1, statementMs: 0, logger })
    opened.push(db)
    return db
  }

  // Promise 62
  it('migrate from the version before keeps every column of 20,000 payments and of all that belongs to them, while an api of that version goes on', async () => {
    const api = connect(API_BEFORE)
    const { insert, holder, find } = apiBefore(api)
    /** Does what that api does for a new payment, a repeated one and a read. */
    async function use() {
      const payment = { id: randomUUID(), merchant_id: DEFAULT_MERCHANT_ID, reference: randomUUID() }
      expect(await insert(payment)).to.deep.equal([{ id: payment.id }])
      const again = { ...payment, id: randomUUID() }
      expect(await insert(again)).to.deep.equal([])
      const held = { id: payment.id, amount_minor: '100', currency: 'USD' }
      expect(await holder(again)).to.deep.equal([{ given_id: again.id, ...held }])
      expect(await find(payment.id)).to.containSubset([{ ...payment, status: 'PENDING' }])
    }
    await use()
    const columns = await keptColumns(database.db)
    expect(Object.keys(columns)).to.have.members([
      ...['merchants', 'payments', 'payment_events', 'pruned_references'],
      ...['outbox_lanes', 'outbox_messages', 'outbox_scheduled', 'dead_letters'],
    ])
    const digest = () => digestOf(database.db, columns)
    const stored = await digest()
    expect(stored.payments).to.match(new RegExp(`^${PAYMENTS + 1} rows`))

    const { applied, left } = await migrateAll(database.db, { wanted: { mode: 'live', from: 'SANDBOX' } })
    expect(applied).to.include('0012_idempotency').and.to.not.include.oneOf(LATER)
    expect(left).to.deep.equal(LATER.map((migration) => ({ migration, services: [API_BEFORE] })))
    expect(await digest()).to.deep.equal(stored)
    await use()

    await api.destroy()
    const used = await digest()
    const current = connect(serviceSession('api'))
    const payment = await database.db
      .selectFrom('payments')
      .select(['id', 'merchant_id as merchantId'])
      .limit(1)
      .execute()
    const read = () => findPayment(current, defined(payment[0], 'payment'))
    expect(await read()).to.include(payment[0])
    const wanted = { mode: 'live', from: 'SANDBOX' } as const
    await eventually(async () => expect((await migrateAll(database.db, { wanted })).applied).to.deep.equal(LATER))
    expect(await digest()).to.deep.equal(used)
    expect(await keptColumns(database.db)).to.containSubset(columns)
    expect(await read()).to.include(payment[0])
    // An api of that version may be started again.
    const { insert: insertAgain } = apiBefore(connect(API_BEFORE))
    expect(
      await insertAgain({ id: randomUUID(), merchant_id: DEFAULT_MERCHANT_ID, reference: 'later' }),
    ).to.have.length(1)
  })

  // Promise 80
  it('migrate from the version before lets a repeated request find its payment by its key, else by its reference', async () => {
    const db = connect(serviceSession('api'))
    const rows = await db.selectFrom('payments').selectAll().orderBy('id').limit(5_000).execute()
    const again = rows.map((row): PaymentInsert => {
      const money = { amountMinor: BigInt(row.amount_minor), currency: row.currency as Currency }
      const metadata = row.metadata ? metadataOf(Object.entries(row.metadata)) : undefined
      const { merchant_id: merchantId, reference, idempotency_key } = row
      const repeated = aPayment({ merchantId, reference, money, metadata })
      return { ...repeated, idempotencyKey: idempotency_key ?? undefined, requestId: 'r', messages: [] }
    })
    const holders = await storePayments(db, again, { redriveAfterMs: 60_000 })
    const expected = rows.map(({ id: paymentId, idempotency_key, created_at: createdAt }) =>
      idempotency_key === null
        ? { has: 'reference', paymentId, mismatch: [] }
        : { has: 'key', paymentId, createdAt, mismatch: [] },
    )
    expect(new Set(expected.map(({ has }) => has))).to.have.property('size', 2)
    expect(holders).to.deep.equal(expected)

    for (const row of rows.slice(0, 30)) {
      const { id, merchant_id: merchantId } = row
      const found = defined(await findPayment(db, { id, merchantId }), 'payment')
      const { amountMinor, status, failureCode, createdAt, settledAt, metadata } = found
      expect({ amountMinor, status, failureCode, createdAt, settledAt }).to.deep.equal({
        amountMinor: BigInt(row.amount_minor),
        status: row.status,
        failureCode: row.failure_code,
        createdAt: row.created_at,
        settledAt: row.settled_at,
      })
      expect(Object.fromEntries(metadata ?? [])).to.deep.equal(row.metadata ?? {})
    }
  })

  // Promise 80
  it('migrate from the version before keeps pruned references taken, and names their payments', async () => {
    const db = connect(serviceSession('api'))
    const pruned = await db.selectFrom('pruned_references').selectAll().execute()
    expect(pruned).to.have.length(2_000)
    const again = pruned.map(({ merchant_id: merchantId, reference, amount_minor }): PaymentInsert => {
      const money = { amountMinor: BigInt(amount_minor), currency: 'USD' as const }
      return {
        ...aPayment({ merchantId, reference, money }),
        idempotencyKey: randomUUID(),
        requestId: 'r',
        messages: [],
      }
    })
    expect(await storePayments(db, again, { redriveAfterMs: 60_000 })).to.deep.equal(
      pruned.map(({ id: paymentId }) => ({ has: 'reference', paymentId, mismatch: [] })),
    )
    const { rows } =
      await sql`select from payments where reference = any(${pruned.map(({ reference }) => reference)})`.execute(db)
    expect(rows).to.deep.equal([])
  })
})

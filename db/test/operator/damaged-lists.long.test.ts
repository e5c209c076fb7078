import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import { type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  type EventSearch,
  type LeftOut,
  type PaymentSearch,
  searchActions,
  searchDeadLetters,
  searchEvents,
  searchPayments,
} from '../../src/operator.ts'
import { parkPayment } from '../../src/worker.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const PAYMENTS = 40
/** A page holds few rows of this length. */
const LONG = Array.from({ length: 40 }, () => randomUUID()).join('')
const WHY = /^XX001 .*block 0/

describe('operator: lists of a database with damaged pages', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let store: TestStore
  /** All payments, in the order of their redrives. */
  let created: string[]
  /** The highest id first. */
  let ids: string[]
  let parked: string[]
  /** Payments in the order of their times, the newest first. */
  let listed: (some: readonly string[]) => string[]

  before(async () => {
    server = await startPrivatePostgres()
    store = await createTestStore(2, { url: server.url, name: 'payments', drop: () => server.stop() })
    created = []
    for (let count = 0; count < PAYMENTS; count++) created.push((await store.insert()).id)
    ids = created.toSorted().toReversed()
    await sql`update payments set metadata = jsonb_build_object('text', ${LONG}::text)`.execute(store.db)
    await sql`update payment_events set request_id = ${LONG}`.execute(store.db)
    parked = [defined(created[0], 'first payment'), defined(created.at(-1), 'last payment')]
    const { rows } = await sql<{ id: string }>`select id from payments order by created_at desc, id desc`.execute(
      store.db,
    )
    listed = (some) => rows.map(({ id }) => id).filter((id) => some.includes(id))
    for (const id of parked)
      await store.db.transaction().execute(async (tx) => {
        await parkPayment(tx, id, 0)
        await bury(tx, 'worker', id)
      })
    // In the order of their ids, so the first parked one is on the first page.
    for (const table of ['payments', 'payment_events'])
      await sql`cluster ${sql.table(table)} using ${sql.table(`${table}_pkey`)}`.execute(store.db)
    await sql`insert into operator_actions (actor, via, action, target, reason)
      select 'ann', 'test', 'pause', 'worker', ${LONG} from generate_series(1, ${PAYMENTS}::int)`.execute(store.db)
    await store.db.transaction().execute(async (tx) => {
      for (let count = 0; count < PAYMENTS; count++) await bury(tx, 'queue', randomUUID())
    })
  })
  after(() => store.drop())

  async function bury(tx: Parameters<typeof buryMessage>[0], source: string, key: string): Promise<void> {
    const letter = { messageId: uuidv7(), key, topic: 'payment.retry', payload: {}, attempts: 10, reason: LONG }
    await buryMessage(tx, { ...letter, source })
  }

  /** Damages the first page of a table while `work` runs. @returns what was on it, by a column */
  async function withDamage(table: string, column: string, work: (lost: readonly string[]) => Promise<void>) {
    const { rows } = await sql<{ value: string }>`select ${sql.ref(column)}::text as value from ${sql.table(table)}
      where ctid < '(1,0)'::tid`.execute(store.db)
    const lost = rows.map(({ value }) => value)
    expect(lost).to.have.length.above(2)
    const repair = await server.damage(table, [0])
    await work(lost)
    await repair()
  }

  /** Searches page by page. */
  async function search(options: Omit<PaymentSearch, 'limit' | 'after'>) {
    const found: string[] = []
    const leftOut: LeftOut[] = []
    let after: string | undefined
    do {
      const page = await searchPayments(store.db, { ...options, limit: 15, after })
      if (!page.done) throw new Error(page.why)
      found.push(...page.payments.map(({ id }) => id))
      leftOut.push(...page.leftOut)
      after = page.next
    } while (after !== undefined)
    for (const { why } of leftOut) expect(why).to.match(WHY)
    return { found, what: new Set(leftOut.map(({ what }) => what)) }
  }

  it('payments: lists all but those on a damaged page, and names these', () =>
    withDamage('payments', 'id', async (lost) => {
      const left = ids.filter((id) => !lost.includes(id))
      const named = new Set(lost.map((id) => `payment ${id}`))
      expect(await search({})).to.deep.equal({ found: left, what: named })
      expect(await search({ status: 'FAILED' })).to.deep.equal({ found: [], what: named })
      expect(await search({ merchantId: DEFAULT_MERCHANT_ID })).to.deep.equal({ found: listed(left), what: named })

      const waiting = await search({ waitingFor: 'queue' })
      const [first = '', last = ''] = parked
      expect(waiting.found).to.deep.equal(created.filter((id) => left.includes(id) && id !== last))
      expect(waiting.what.size).to.equal(lost.length - 1)
      for (const what of waiting.what) expect(what).to.match(/^the payments whose redrive is at 20\d\d-.*\.\d{6}Z$/)
      const pending = await search({ status: 'PENDING' })
      expect(pending.found).to.deep.equal([...waiting.found, last])
      expect(await search({ waitingFor: 'operator' })).to.deep.equal({
        found: [last],
        what: new Set([`payment ${first}`]),
      })
    }))

  it('payments: lists all but one whose metadata cannot be read, and names it', async () => {
    const id = defined(ids[3], 'payment')
    // Too long for its row, so it is stored in parts in another table.
    const text = Array.from({ length: 300 }, () => randomUUID()).join('')
    await sql`update payments set metadata = jsonb_build_object('text', ${text}::text) where id = ${id}`.execute(
      store.db,
    )
    const { rows } = await sql<{ name: string }>`select reltoastrelid::regclass::text as name from pg_class
      where oid = 'payments'::regclass`.execute(store.db)
    const repair = await server.damage(defined(rows[0], 'table of parts').name, [0])
    const page = await searchPayments(store.db, { limit: 10 })
    if (!page.done) throw new Error(page.why)
    expect(page.payments.map((payment) => payment.id)).to.deep.equal(ids.slice(0, 10).filter((one) => one !== id))
    expect(page.leftOut.map(({ what }) => what)).to.deep.equal([`payment ${id}`])
    await repair()
  })

  it('events: lists all but those on a damaged page, and names these', () =>
    withDamage('payment_events', 'payment_id', async (lost) => {
      const eventsOf = async (options: Omit<EventSearch, 'limit'>) => {
        const page = await searchEvents(store.db, { ...options, limit: 1_000 })
        if (!page.done) throw new Error(page.why)
        for (const { why } of page.leftOut) expect(why).to.match(WHY)
        return { found: page.events.map(({ paymentId }) => paymentId), what: page.leftOut.map(({ what }) => what) }
      }
      const left = ids.filter((id) => !lost.includes(id))
      for (const filter of [{}, { merchantId: DEFAULT_MERCHANT_ID }]) {
        const { found, what } = await eventsOf(filter)
        expect(found).to.deep.equal(created.filter((id) => left.includes(id)).toReversed())
        expect(what).to.have.length(lost.length)
        for (const one of what) expect(one).to.match(/^the row \d+ of payment_events$/)
      }
      const [paymentId = ''] = lost
      expect(await eventsOf({ paymentId })).to.deep.equal({ found: [], what: [`event evt_${paymentId}_1`] })
    }))

  it('acts and dead letters: lists all but those on a damaged page, and names these', async () => {
    await withDamage('operator_actions', 'id', async (lost) => {
      const { actions, leftOut } = await searchActions(store.db, { limit: 1_000 })
      expect(actions.map(({ id }) => id)).to.have.length(PAYMENTS - lost.length)
      expect(leftOut.map(({ what }) => what).toReversed()).to.deep.equal(lost.map((id) => `act ${id}`))
    })
    await withDamage('dead_letters', 'id', async (lost) => {
      const { letters, leftOut } = await searchDeadLetters(store.db, { limit: 1_000 })
      expect(letters).to.have.length(PAYMENTS + parked.length - lost.length)
      expect(leftOut.map(({ what }) => what)).to.deep.equal(lost.map((id) => `dead letter ${id}`))
    })
  })
})

import { randomUUID } from 'node:crypto'
import { AMOUNT_MINOR_MAX, type Currency } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findPayment, insertPayments, type PaymentInsert } from '../../src/index.ts'
import { createTestStore, newPayment, storePayments, type TestStore } from '../test-store.ts'

const OPTIONS = { redriveAfterMs: 60_000 }

describe('inserting payments together', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const history = (id: string) =>
    store.db.selectFrom('payment_events').selectAll().where('payment_id', '=', id).orderBy('sequence').execute()
  const created = (reference?: string) => ({ ...newPayment(reference), requestId: 'r-1', messages: [] })
  const withMessage = (of: PaymentInsert): PaymentInsert => {
    const { reference } = of.payment
    return {
      ...of,
      messages: [{ messageId: randomUUID(), key: of.payment.id, topic: 'payment.created', payload: reference }],
    }
  }
  const insert = (...payments: PaymentInsert[]) => storePayments(store.db, payments, OPTIONS)
  const insertedIds = async (...payments: PaymentInsert[]) =>
    (await insert(...payments)).map(({ paymentId }) => paymentId)

  it('stores payments with their events, and finds them again', async () => {
    const [one, two] = [created(), created()]
    expect(await insertedIds(one, two)).to.deep.equal([one.payment.id, two.payment.id])
    for (const { payment } of [one, two]) {
      expect(await findPayment(store.db, payment.id)).to.deep.equal(payment)
      const events = await history(payment.id)
      expect(events).to.have.length(1)
      expect(events[0]).to.include({ type: 'payment.created', sequence: 1, actor: 'api', request_id: 'r-1' })
      expect(Number((await row(payment.id)).redrive_at)).to.be.closeTo(Date.now() + 60_000, 10_000)
    }
  })

  it('keeps a reference, an amount and an event as they were given', async () => {
    const reference = `"\\" ${randomUUID()} {} null é 💶 \u2028 '`
    const money = { amountMinor: AMOUNT_MINOR_MAX, currency: 'ETB' as const }
    const { payment, event } = newPayment(reference, money)
    await insert({ payment, event, requestId: 'r-1', messages: [] })
    expect(await findPayment(store.db, payment.id)).to.deep.equal(payment)
    expect((await history(payment.id))[0]).to.deep.include({ data: event.data, created_at: payment.createdAt })
  })

  it('names the payment that has the reference, and stores nothing for it', async () => {
    const first = await store.insert()
    const [twin, other] = [created(first.reference), created()]
    expect(await insertedIds(twin, other)).to.deep.equal([first.id, other.payment.id])
    expect(await findPayment(store.db, twin.payment.id)).to.equal(undefined)
    expect(await history(twin.payment.id)).to.deep.equal([])
  })

  it('appends the messages of those that it stores, and of no others', async () => {
    const first = await store.insert()
    const [twin, one, two, silent] = [created(first.reference), created(), created(), created()]
    await insert(...[twin, one, two].map(withMessage), silent)
    const { rows } = await sql<{ key: string; payload: unknown }>`
      select key, payload from outbox_messages order by id`.execute(store.db)
    expect(rows).to.have.deep.members(
      [one, two].map(({ payment }) => ({ key: payment.id, payload: payment.reference })),
    )
  })

  it('gives a reference to one of several in the same batch, and names it to the others', async () => {
    const reference = randomUUID()
    const twins = [created(reference), created(reference), created(reference)]
    const stored = await insertedIds(...twins)
    expect(new Set(stored)).to.have.property('size', 1)
    expect(twins.map(({ payment }) => payment.id)).to.include(stored[0])
    expect(await findPayment(store.db, stored[0] as string)).to.include({ reference })
  })

  it('says in what each payment differs from the one that has its reference', async () => {
    const reference = randomUUID()
    const like = (amountMinor: bigint, currency: Currency): PaymentInsert => {
      return { ...newPayment(reference, { amountMinor, currency }), requestId: 'r-1', messages: [] }
    }
    const first = like(10_050n, 'USD')
    const twins = [like(10_050n, 'USD'), like(10_051n, 'USD'), like(10_050n, 'ETB'), like(1n, 'ETB')]
    const expected = [[], ['amount'], ['currency'], ['amount', 'currency']]
    await insert(first)
    // Once more in the same batch as a payment that is stored: each answer is its own payment's.
    for (const others of [[], [created()]]) {
      const holders = await insert(...others, ...twins)
      expect(holders.slice(others.length)).to.deep.equal(
        expected.map((mismatch) => ({ paymentId: first.payment.id, mismatch })),
      )
    }
  })

  it('says in what twins of one batch differ from the one of them that is stored', async () => {
    const reference = randomUUID()
    const twins = [1n, 1n, 2n].map((amountMinor): PaymentInsert => {
      return { ...newPayment(reference, { amountMinor, currency: 'USD' }), requestId: 'r-1', messages: [] }
    })
    const holders = await insert(...twins)
    const stored = twins.find(({ payment }) => payment.id === holders[0]?.paymentId)?.payment
    expect(holders).to.deep.equal(
      twins.map(({ payment }) => {
        return { paymentId: stored?.id, mismatch: payment.amountMinor === stored?.amountMinor ? [] : ['amount'] }
      }),
    )
  })

  it('waits for a twin that has not committed, and finds its own id when the same transaction runs again', async () => {
    const payment = created()
    const first = await store.db.startTransaction().execute()
    await insertPayments(first, [payment], OPTIONS)
    const second = insert(payment)
    await first.commit().execute()
    expect(await second).to.deep.equal([{ paymentId: payment.payment.id, mismatch: [] }])
    expect(await history(payment.payment.id)).to.have.length(1)
  })

  it('never deadlocks with a batch of the same references in another order', async () => {
    for (let round = 0; round < 10; round++) {
      const references = Array.from({ length: 40 }, () => randomUUID())
      const batches = [references, references.toReversed(), references.toSorted()]
      const stored = await Promise.all(batches.map((batch) => insertedIds(...batch.map(created))))
      expect(new Set(stored.flat())).to.have.property('size', 40)
    }
  })
})

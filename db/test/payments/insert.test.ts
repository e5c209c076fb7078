import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { AMOUNT_MINOR_MAX, type Currency, DEFAULT_MERCHANT_ID, metadataOf, type Payment } from '@cashflow/domain'
import { aMessage, aPayment } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { findPayment, insertPayments, type PaymentInsert } from '../../src/index.ts'
import { createTestStore, newPayment, storePayments, type TestStore } from '../test-store.ts'

const OPTIONS = { redriveAfterMs: 60_000 }

describe('insertPayments and findHolders', () => {
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
      messages: [aMessage({ key: of.payment.id, topic: 'payment.created', payload: reference })],
    }
  }
  const insert = (...payments: PaymentInsert[]) => storePayments(store.db, payments, OPTIONS)
  /** The payment that is stored, without what it waits for. */
  async function stored(payment: Payment) {
    const { waiting: _, ...found } = defined(await findPayment(store.db, payment), 'stored payment')
    return found
  }
  const insertedIds = async (...payments: PaymentInsert[]) =>
    (await insert(...payments)).map(({ paymentId }) => paymentId)

  it('stores payments with their events', async () => {
    const [one, two] = [created(), created()]
    expect(await insertedIds(one, two)).to.deep.equal([one.payment.id, two.payment.id])
    for (const { payment } of [one, two]) {
      expect(await stored(payment)).to.deep.equal(payment)
      const events = await history(payment.id)
      expect(events).to.have.length(1)
      expect(events[0]).to.include({ type: 'payment.created', sequence: 1, actor: 'api', request_id: 'r-1' })
      expect(Number((await row(payment.id)).redrive_at)).to.be.closeTo(Date.now() + 60_000, 10_000)
    }
  })

  it('stores none of a payment, its event and its message when one of them fails', async () => {
    const whole = created()
    const messages = withMessage(whole).messages.map((message) => ({ ...message, messageId: 'not a UUID' }))
    expect(await insert({ ...whole, messages }).catch(({ code }) => code)).to.equal('22P02')
    expect(await findPayment(store.db, whole.payment)).to.equal(undefined)
    expect(await history(whole.payment.id)).to.deep.equal([])
  })

  it('keeps a reference, an amount and an event as they were given', async () => {
    const reference = `"\\" ${randomUUID()} {} null é 💶 \u2028 '`
    const money = { amountMinor: AMOUNT_MINOR_MAX, currency: 'ETB' as const }
    const { payment, event } = newPayment(reference, money)
    await insert({ payment, event, requestId: 'r-1', messages: [] })
    expect(await stored(payment)).to.deep.equal(payment)
    expect((await history(payment.id))[0]).to.deep.include({ data: event.data, created_at: payment.createdAt })
  })

  it('keeps metadata as it was given, and none where none was given', async () => {
    const metadata = metadataOf([
      ['10', `"\\" ' é 💶 \u2028`],
      ['9', ''],
      ['💰', '{}'],
    ])
    const [one, other] = [aPayment({ metadata }), aPayment()]
    await insert(...[one, other].map((created) => ({ ...created, requestId: 'r-1', messages: [] })))
    const found = await findPayment(store.db, one.payment)
    expect([...(found?.metadata ?? [])]).to.deep.equal([...metadata])
    expect(await stored(one.payment)).to.deep.equal(one.payment)
    expect(await row(other.payment.id)).to.include({ metadata: null })
  })

  it('stores nothing for a payment whose reference is taken, and names the payment that has it', async () => {
    const first = await store.insert()
    const [taken, other] = [created(first.reference), created()]
    expect(await insertedIds(taken, other)).to.deep.equal([first.id, other.payment.id])
    expect(await findPayment(store.db, taken.payment)).to.equal(undefined)
    expect(await history(taken.payment.id)).to.deep.equal([])
  })

  it('appends the messages of the payments that it stores, and no others', async () => {
    const first = await store.insert()
    const [taken, one, two, silent] = [created(first.reference), created(), created(), created()]
    await insert(...[taken, one, two].map(withMessage), silent)
    const { rows } = await sql<{ key: string; payload: unknown }>`
      select key, payload from outbox_messages order by id`.execute(store.db)
    expect(rows).to.have.deep.members(
      [one, two].map(({ payment }) => ({ key: payment.id, payload: payment.reference })),
    )
  })

  it('stores one of several payments of a batch with the same reference, and names it to the others', async () => {
    const reference = randomUUID()
    const sameReference = [created(reference), created(reference), created(reference)]
    const stored = await insertedIds(...sameReference)
    expect(new Set(stored)).to.have.property('size', 1)
    expect(sameReference.map(({ payment }) => payment.id)).to.include(stored[0])
    expect(
      await findPayment(store.db, { merchantId: DEFAULT_MERCHANT_ID, id: defined(stored[0], 'stored payment') }),
    ).to.include({ reference })
  })

  // Promise 32
  it('tells in what each payment differs from the payment that has its reference', async () => {
    const reference = randomUUID()
    const like = (amountMinor: bigint, currency: Currency): PaymentInsert => {
      return { ...newPayment(reference, { amountMinor, currency }), requestId: 'r-1', messages: [] }
    }
    const first = like(10_050n, 'USD')
    const sameReference = [like(10_050n, 'USD'), like(10_051n, 'USD'), like(10_050n, 'ETB'), like(1n, 'ETB')]
    const expected = [[], ['amount'], ['currency'], ['amount', 'currency']]
    await insert(first)
    // The second time with a payment that is stored in the same batch: each answer belongs to its payment.
    for (const others of [[], [created()]]) {
      const holders = await insert(...others, ...sameReference)
      expect(holders.slice(others.length)).to.deep.equal(
        expected.map((mismatch) => ({ has: 'reference', paymentId: first.payment.id, mismatch })),
      )
    }
  })

  it('tells in what payments of one batch with the same reference differ from the one that is stored', async () => {
    const reference = randomUUID()
    const sameReference = [1n, 1n, 2n].map((amountMinor): PaymentInsert => {
      return { ...newPayment(reference, { amountMinor, currency: 'USD' }), requestId: 'r-1', messages: [] }
    })
    const holders = await insert(...sameReference)
    const stored = sameReference.find(({ payment }) => payment.id === holders[0]?.paymentId)?.payment
    expect(holders).to.deep.equal(
      sameReference.map(({ payment }) => {
        if (payment === stored) return { has: 'itself', paymentId: payment.id }
        const mismatch = payment.amountMinor === stored?.amountMinor ? [] : ['amount']
        return { has: 'reference', paymentId: stored?.id, mismatch }
      }),
    )
  })

  it('waits for an earlier attempt that has not committed, and finds its own payment', async () => {
    const payment = created()
    const first = await store.db.startTransaction().execute()
    await insertPayments(first, [payment], OPTIONS)
    const second = insert(payment)
    await first.commit().execute()
    expect(await second).to.deep.equal([{ has: 'itself', paymentId: payment.payment.id }])
    expect(await history(payment.payment.id)).to.have.length(1)
  })

  it('stores a batch without a deadlock while another batch has the same references in another order', async () => {
    for (let round = 0; round < 10; round++) {
      const references = Array.from({ length: 40 }, () => randomUUID())
      const batches = [references, references.toReversed(), references.toSorted()]
      const stored = await Promise.all(batches.map((batch) => insertedIds(...batch.map(created))))
      expect(new Set(stored.flat())).to.have.property('size', 40)
    }
  })

  it('stores each column of a payment, an event and a message as it was given', async () => {
    const [id, merchantId, messageId] = [randomUUID(), randomUUID(), randomUUID()]
    const payment = {
      id,
      merchantId,
      reference: 'a reference',
      amountMinor: 10_050n,
      currency: 'ETB',
      status: 'PENDING',
      failureCode: null,
      createdAt: new Date('2026-01-02T03:04:05.006Z'),
      settledAt: null,
      metadata: metadataOf([['a', 'pair']]),
    } as const
    const event = {
      type: 'payment.created',
      paymentId: id,
      merchantId,
      sequence: 7,
      data: { some: 'data' },
      at: new Date('2026-02-03T04:05:06.007Z'),
    } as const
    const message = {
      messageId,
      key: id,
      topic: 'a topic',
      payload: { a: 'payload' },
      headers: { a: 'header' },
      mandatory: false,
    }
    await insert({ payment, event, requestId: 'a request', messages: [message] })

    const { redrive_at, ...stored } = await row(id)
    expect(Number(redrive_at)).to.be.closeTo(Date.now() + 60_000, 10_000)
    expect(stored).to.deep.include({
      id,
      merchant_id: merchantId,
      reference: 'a reference',
      amount_minor: '10050',
      currency: 'ETB',
      status: 'PENDING',
      created_at: payment.createdAt,
      metadata: { a: 'pair' },
    })
    const [recorded] = await history(id)
    expect(recorded).to.deep.include({
      payment_id: id,
      merchant_id: merchantId,
      sequence: 7,
      type: 'payment.created',
      data: { some: 'data' },
      actor: 'api',
      request_id: 'a request',
      created_at: event.at,
    })
    const appended = await store.db.selectFrom('outbox_messages').selectAll().where('key', '=', id).execute()
    expect(appended).to.have.length(1)
    expect(appended[0]).to.deep.include({
      message_id: messageId,
      topic: 'a topic',
      payload: { a: 'payload' },
      headers: { a: 'header' },
      mandatory: false,
    })
  })
})

import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { readTimeline } from '../../src/operator.ts'
import { claimOverdue } from '../../src/worker.ts'
import { createTestStore, newPayment, storePayments, type TestStore } from '../test-store.ts'
import { verifiedPayments } from '../verify/verified.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`

describe('traceparent of a payment', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(2)
  })
  after(() => store.drop())

  // Promise 116
  it('traceparent of a payment: a redrive gets it from the created event, an operator sees its trace id, and verify allows it', async () => {
    const traced = newPayment()
    const plain = newPayment()
    const given = [{ ...traced, traceparent: TRACEPARENT }, plain]
    const created = given.map((payment) => ({ ...payment, requestId: 'r-1', messages: [] }))
    await storePayments(store.db, created, { redriveAfterMs: -1 })

    const events = await store.db.selectFrom('payment_events').select(['payment_id', 'trace']).execute()
    expect(Object.fromEntries(events.map(({ payment_id, trace }) => [payment_id, trace]))).to.deep.equal({
      [traced.payment.id]: { traceparent: TRACEPARENT },
      [plain.payment.id]: null,
    })
    const options = { redriveAfterMs: 60_000, batchMax: 10, spans: [{ from: 0, to: Number.POSITIVE_INFINITY }] }
    const { overdue } = await store.db.transaction().execute((tx) => claimOverdue(tx, { ...options, traced: true }))
    expect(overdue).to.have.deep.members([
      { paymentId: traced.payment.id, requestId: 'r-1', traceparent: TRACEPARENT },
      { paymentId: plain.payment.id, requestId: 'r-1', traceparent: undefined },
    ])
    const timelineOf = async (id: string) => defined(await readTimeline(store.db, id), 'timeline').entries[0]?.facts
    expect(await timelineOf(traced.payment.id)).to.include({ trace_id: TRACE })
    expect(await timelineOf(plain.payment.id)).to.not.have.property('trace_id')
    expect((await verifiedPayments(() => store).verified()).findings).to.deep.equal([])
  })
})

import { randomUUID } from 'node:crypto'
import { outcomeMessage, settlePayment } from '@cashflow/domain'
import { appendMessages, buryMessage, scheduleMessages } from '@cashflow/outbox'
import { expect } from 'chai'
import { createTestStore, newPayment, type TestStore } from '../test-store.ts'
import { verifiedPayments } from './verified.ts'

describe('verify of messages', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(2)
  })
  after(() => store.drop())

  const { verified, settled } = verifiedPayments(() => store)

  it('verify finds messages that differ from their payments, wherever they wait', async () => {
    const { payment } = newPayment()
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date())
    if (!settlement.settled) throw new Error('A new payment is PENDING')
    const id = await settled('declined')
    const sent = (messageId = randomUUID()) => ({
      ...outcomeMessage({ ...settlement.payment, id }, settlement.event, { messageId, requestId: undefined }),
    })
    await store.db.transaction().execute(async (tx) => {
      await appendMessages(tx, [sent()])
      await scheduleMessages(tx, [{ ...sent(), key: payment.id }], 60_000)
      await buryMessage(tx, { ...sent(), source: 'outbox', reason: 'r', attempts: 20 })
      await buryMessage(tx, { ...sent(), source: 'other', reason: 'r', attempts: 20 })
    })
    const { findings, counts } = await verified()
    const differing = (topic: string) => [
      [id, `topic of a message ${topic}`],
      [id, `status of a message ${topic}`],
      [id, `failure_code of a message ${topic}`],
    ]
    expect(findings.map(({ paymentId, what }) => [paymentId, what])).to.deep.equal([
      ...differing('payment.succeeded'),
      [null, 'key of a message payment.succeeded'],
      ...differing('payment.succeeded'),
    ])
    expect(counts.messages).to.equal(3)
  })
})

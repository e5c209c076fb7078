import { expect } from 'chai'
import {
  createdMessage,
  createPayment,
  DEFAULT_MERCHANT_ID,
  OUTCOME_TOPICS,
  type Outcome,
  outcomeMessage,
  retryMessage,
  settlePayment,
  WORK_TOPICS,
} from '../src/index.ts'

const PAYMENT_ID = '019a0000-0000-7000-8000-000000000001'
const IDS = { messageId: '019a0000-0000-7000-8000-000000000002', requestId: 'order-7' }

const { payment, event } = createPayment({
  id: PAYMENT_ID,
  merchantId: DEFAULT_MERCHANT_ID,
  reference: 'REF-001',
  money: { amountMinor: 10_050n, currency: 'USD' },
  at: new Date(0),
})

function settle(outcome: Outcome) {
  const result = settlePayment(payment, outcome, new Date(1))
  if (!result.settled) throw new Error(result.code)
  return outcomeMessage(result.payment, result.event, IDS)
}

describe('topics', () => {
  it('topics are those of work, which the work queue is bound to, and those of outcomes', () => {
    expect(WORK_TOPICS).to.deep.equal(['payment.created', 'payment.retry'])
    expect(OUTCOME_TOPICS).to.deep.equal(['payment.succeeded', 'payment.failed'])
  })
})

describe('messages of a payment', () => {
  it('sends a new payment to a worker: mandatory, with its id as key and payload', () => {
    expect(createdMessage(event, IDS)).to.deep.equal({
      messageId: IDS.messageId,
      key: PAYMENT_ID,
      topic: 'payment.created',
      payload: { payment_id: PAYMENT_ID },
      headers: { 'x-request-id': 'order-7' },
      mandatory: true,
    })
  })

  it('sends a payment to a worker again: mandatory, with the same payload', () => {
    expect(retryMessage(PAYMENT_ID, IDS)).to.deep.equal({ ...createdMessage(event, IDS), topic: 'payment.retry' })
  })

  it('gives a message of a payment no header without the id of a request', () => {
    expect(retryMessage(PAYMENT_ID, { ...IDS, requestId: undefined }).headers).to.deep.equal({})
  })

  it('notifies consumers of a payment that succeeded: not mandatory, with its status', () => {
    expect(settle({ outcome: 'approved' })).to.deep.equal({
      messageId: IDS.messageId,
      key: PAYMENT_ID,
      topic: 'payment.succeeded',
      payload: { payment_id: PAYMENT_ID, status: 'SUCCESS' },
      headers: { 'x-request-id': 'order-7' },
      mandatory: false,
    })
  })

  it('notifies consumers of a payment that failed: not mandatory, with its status and failure code', () => {
    expect(settle({ outcome: 'declined', failureCode: 'insufficient_funds' })).to.deep.equal({
      messageId: IDS.messageId,
      key: PAYMENT_ID,
      topic: 'payment.failed',
      payload: { payment_id: PAYMENT_ID, status: 'FAILED', failure_code: 'insufficient_funds' },
      headers: { 'x-request-id': 'order-7' },
      mandatory: false,
    })
  })
})

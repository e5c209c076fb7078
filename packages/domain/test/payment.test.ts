import { expect } from 'chai'
import {
  createPayment,
  DEFAULT_MERCHANT_ID,
  type Outcome,
  type PaymentStatus,
  settlePayment,
  TRANSITIONS,
} from '../src/index.ts'

const id = '019a0000-0000-7000-8000-000000000000'
const createdAt = new Date('2026-01-01T12:00:00.000Z')
const settledAt = new Date('2026-01-01T12:00:02.000Z')
const approved: Outcome = { outcome: 'approved' }
const declined: Outcome = { outcome: 'declined', failureCode: 'insufficient_funds' }

function pending(changes: Partial<Parameters<typeof createPayment>[0]> = {}) {
  return createPayment({
    id,
    merchantId: DEFAULT_MERCHANT_ID,
    reference: 'REF-001',
    money: { amountMinor: 10050n, currency: 'USD' },
    at: createdAt,
    ...changes,
  })
}

describe('payment', () => {
  it('starts as PENDING with the event payment.created', () => {
    const { payment, event } = pending()
    expect(payment).to.deep.equal({
      id,
      merchantId: DEFAULT_MERCHANT_ID,
      reference: 'REF-001',
      amountMinor: 10050n,
      currency: 'USD',
      status: 'PENDING',
      failureCode: null,
      createdAt,
      settledAt: null,
      metadata: null,
    })
    expect(event).to.deep.equal({
      type: 'payment.created',
      paymentId: id,
      merchantId: DEFAULT_MERCHANT_ID,
      sequence: 1,
      data: { amount: '100.50', currency: 'USD', reference: 'REF-001' },
      at: createdAt,
    })
  })

  it('becomes SUCCESS when the provider approves it', () => {
    const { payment } = pending()
    expect(settlePayment(payment, approved, settledAt)).to.deep.equal({
      settled: true,
      payment: { ...payment, status: 'SUCCESS', settledAt },
      event: {
        type: 'payment.succeeded',
        paymentId: id,
        merchantId: DEFAULT_MERCHANT_ID,
        sequence: 2,
        data: {},
        at: settledAt,
      },
    })
  })

  it('becomes FAILED with the failure code when the provider declines it', () => {
    const settlement = settlePayment(pending().payment, declined, settledAt)
    if (!settlement.settled) expect.fail('not settled')
    expect(settlement.payment).to.include({ status: 'FAILED', failureCode: 'insufficient_funds', settledAt })
    expect(settlement.event).to.deep.include({
      type: 'payment.failed',
      sequence: 2,
      data: { failure_code: 'insufficient_funds' },
    })
  })

  for (const status of ['SUCCESS', 'FAILED'] satisfies PaymentStatus[]) {
    for (const outcome of [approved, declined]) {
      it(`stays ${status} if it is ${outcome.outcome} after that`, () => {
        const payment = { ...pending().payment, status }
        expect(settlePayment(payment, outcome, settledAt)).to.deep.equal({
          settled: false,
          code: 'payment_already_settled',
          status,
        })
      })
    }
  }

  it('cannot be created from an invalid amount or reference', () => {
    for (const amountMinor of [0n, -1n, 10n ** 15n])
      expect(() => pending({ money: { amountMinor, currency: 'USD' } })).to.throw(RangeError)
    expect(() => pending({ money: { amountMinor: 1n, currency: 'EUR' as 'USD' } })).to.throw(RangeError)
    expect(() => pending({ reference: '' })).to.throw(RangeError)
    expect(() => pending({ metadata: new Map([['', 'x']]) })).to.throw(RangeError)
  })
})

describe('state machine of a payment', () => {
  it('ends in SUCCESS and FAILED only', () => {
    const terminal = Object.entries(TRANSITIONS).filter(([, transitions]) => Object.keys(transitions).length === 0)
    expect(terminal.map(([status]) => status)).to.have.members(['SUCCESS', 'FAILED'])
  })
})

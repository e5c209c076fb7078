import { expect } from 'chai'
import { type EventOfPayment, eventId, parseEventId, paymentAsOf } from '../src/index.ts'

const ID = '019a0000-0000-7000-8000-00000000000a'
const CREATED_AT = new Date('2026-11-22T01:37:08.058Z')
const SETTLED_AT = new Date('2026-11-22T01:37:09.000Z')

const settled = {
  amountMinor: 10_050n,
  currency: 'USD',
  reference: 'REF-001',
  status: 'FAILED',
  createdAt: CREATED_AT,
  settledAt: SETTLED_AT,
} as const

const event = (type: string, createdAt: Date): EventOfPayment => ({ paymentId: ID, type, createdAt, payment: settled })

describe('parseEventId', () => {
  it('reads each id that eventId returns', () => {
    for (const sequence of [1, 2, 10, 999_999_999])
      expect(parseEventId(eventId(ID, sequence))).to.deep.equal({ paymentId: ID, sequence })
  })

  it('refuses every other text, such as another spelling of the same id', () => {
    const id = eventId(ID, 1)
    for (const text of ['', ID, `evt_${ID}`, `evt_${ID}_0`, `evt_${ID}_01`, `evt_${ID}_1000000000`, `${id}\n`])
      expect(parseEventId(text), text).to.equal(undefined)
    expect(parseEventId(id.toUpperCase())).to.equal(undefined)
  })
})

describe('paymentAsOf', () => {
  it('shows the payment with the status that the event gave it, and an exact amount', () => {
    expect(JSON.stringify(paymentAsOf(event('payment.created', CREATED_AT)))).to.equal(
      `{"id":"${ID}","amount":100.50,"amount_minor":10050,"currency":"USD","reference":"REF-001","status":"PENDING","created_at":"2026-11-22T01:37:08.058Z"}`,
    )
    expect(paymentAsOf(event('payment.failed', SETTLED_AT))).to.include({ status: 'FAILED' })
  })

  it('shows the status at the time of an event that gives none', () => {
    expect(paymentAsOf(event('payment.reference_changed', CREATED_AT))).to.include({ status: 'PENDING' })
    expect(paymentAsOf(event('payment.reference_changed', SETTLED_AT))).to.include({ status: 'FAILED' })
  })

  it('shows no payment of one that is gone', () => {
    expect(paymentAsOf({ ...event('payment.created', CREATED_AT), payment: null })).to.equal(null)
  })
})

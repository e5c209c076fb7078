import { expect } from 'chai'
import fc from 'fast-check'
import { type CreatedPayment, readPayment } from '../src/payment.ts'

describe('@cashflow/client: readPayment', () => {
  // Promise 98
  it('client: shows each amount as the text that the API sent, which JSON.parse changes', () => {
    const minor = fc.oneof(fc.bigInt(1n, 999_999_999_999_999n), fc.bigInt(1n, 10_000n))
    fc.assert(
      fc.property(minor, fc.constantFrom(0, 1, 2, 3, 4), (amountMinor, decimals) => {
        const digits = amountMinor.toString().padStart(decimals + 1, '0')
        const text = decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
        const parsed = JSON.parse(`{"id":"p","status":"PENDING","amount":${text},"amount_minor":${amountMinor}}`)
        expect(readPayment<CreatedPayment>(parsed).amount).to.equal(text)
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 1_000) },
    )
  })

  it('client: refuses an answer whose amounts contradict each other', () => {
    const parsed = JSON.parse('{"id":"p","status":"PENDING","amount":100.50,"amount_minor":10051}')
    expect(() => readPayment<CreatedPayment>(parsed)).to.throw(RangeError, 'The amount 100.5 is not 10051 minor units')
  })
})

import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { Key, KeyUse } from '../../src/merchants.ts'
import type { View } from '../../src/payment-request.ts'
import { broken, HIDDEN, OTHER, PAYMENT, PAYMENT_REQUEST, viewOf } from '../good-facts.ts'

const seenBy = (...foreignViews: View[]): Partial<Facts> => ({
  paymentRequests: [{ ...PAYMENT_REQUEST, foreignViews }],
})

/** A use of a key that was revoked at 1,000, which PostgreSQL confirmed at 1,100. */
function used(use: Partial<KeyUse>): Partial<Facts> {
  const key: Key = { id: 'key', secret: '', uses: [{ sentAt: 10, answeredAt: 12, status: 201, ...use }] }
  return { keys: [{ ...key, revoked: { from: 1_000, to: 1_100 } }] }
}

describe('invariants about merchants', () => {
  const hidden = 'no payment is seen with the key of another merchant'
  const revoked = 'a key is accepted until it is revoked, and refused from 5 seconds later on'

  it('invariants about merchants hold while a revoked key may still be accepted', () => {
    for (const status of [201, 401, 429]) expect(broken(used({ sentAt: 6_000, answeredAt: 6_200, status }))).to.eql([])
  })

  it('invariants about merchants hold for a revoked key that gets no answer about payments', () => {
    for (const status of [401, 429, 503, 'none'] as const)
      expect(broken(used({ sentAt: 7_000, answeredAt: 7_001, status }))).to.eql([])
  })

  it('invariants about merchants hold for a payment whose reading another merchant is refused, or not answered', () => {
    for (const status of [401, 429, 503, 'none'] as const)
      expect(broken(seenBy({ ...HIDDEN, status, isFinal: false }, HIDDEN, HIDDEN))).to.eql([])
  })

  it('invariants about merchants hold for a payment of each merchant with one reference', () => {
    const another = { ...PAYMENT_REQUEST, merchantId: 'another', answers: [], views: [] }
    expect(broken({ paymentRequests: [PAYMENT_REQUEST, another] })).to.eql([])
  })

  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['a payment that another merchant sees', hidden, seenBy(viewOf('PENDING', 13), HIDDEN, HIDDEN)],
    ['a 403 that tells another merchant of a payment', hidden, seenBy({ ...HIDDEN, status: 403 }, HIDDEN, HIDDEN)],
    ['an API that another merchant did not ask at the end', hidden, seenBy(HIDDEN)],
    ['a key that is refused before it is revoked', revoked, used({ answeredAt: 900, status: 401 })],
    ['a key that is limited before it is revoked', revoked, used({ answeredAt: 900, status: 429 })],
    ['a revoked key that creates a payment', revoked, used({ sentAt: 6_200, answeredAt: 6_300 })],
    ['a revoked key that reads', revoked, used({ sentAt: 6_200, answeredAt: 6_300, status: 404 })],
    [
      'a payment that is stored for another merchant',
      'a payment that was answered with its id is stored',
      { payments: [{ ...PAYMENT, merchantId: 'another' }] },
    ],
    [
      'a payment that only another merchant has requested',
      'a stored payment is one that a client requested',
      { payments: [PAYMENT, { ...PAYMENT, id: OTHER, merchantId: 'another' }] },
    ],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about merchants are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})

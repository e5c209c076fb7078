import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { FinalList } from '../../src/final-requests.ts'
import type { ShownPayment } from '../../src/payment-request.ts'
import { broken, GOOD, LIST, OTHER, PAYMENT, viewed, viewOf } from '../good-facts.ts'

/** The differences for an API whose list differs, next to a good one. */
const listed = (change: Partial<FinalList>): Partial<Facts> => ({ lists: [LIST, { ...LIST, ...change }] })

const shownAs = (change: Partial<ShownPayment>) => LIST.payments.map((payment) => ({ ...payment, ...change }))

describe('invariants about lists', () => {
  const whole = 'at the end, each API lists the payments of each merchant once, newest first'
  const own = 'a list shows stored payments of its merchant'
  const seen = 'each GET and list finds the payment that was answered with its id, and never an older state'
  const documented = 'every answer is a documented one'

  it('invariants about lists hold for an amount that is a decimal number as text, and for a page without an answer', () => {
    expect(broken(listed({ payments: shownAs({ amount: '1.00' }), failures: ['none', 503, 401] }))).to.eql([])
  })

  it('invariants about lists are broken by payments in the wrong order', () => {
    const lists = GOOD.lists.map((list) => ({ ...list, payments: [...shownAs({ id: OTHER }), ...list.payments] }))
    const payments = [PAYMENT, { ...PAYMENT, id: OTHER }]
    expect(broken({ payments, lists })).to.include(whole)
    expect(broken({ payments: payments.toReversed(), lists })).not.to.include(whole)
  })

  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['a list without a payment', whole, listed({ payments: [] })],
    ['a list that shows a payment twice', whole, listed({ payments: [...LIST.payments, ...LIST.payments] })],
    ['an API that was not asked for its list', whole, { lists: [LIST] }],
    ['a list that was not read to its end', whole, listed({ isWhole: false })],
    [
      'a payment of another merchant',
      own,
      { ...listed({ merchantId: 'another' }), payments: [PAYMENT, { ...PAYMENT, id: OTHER, merchantId: 'another' }] },
    ],
    ['a payment that is not stored', own, listed({ payments: shownAs({ id: OTHER }) })],
    ['an earlier status at the end', own, listed({ payments: shownAs({ status: 'PENDING' }) })],
    ['another amount', own, listed({ payments: shownAs({ amount: '1.0' }) })],
    ['an answer that is not documented', documented, listed({ failures: [500] })],
    [
      'a list that does not have a payment after its 201',
      seen,
      viewed({ at: 13, answeredAt: 14, status: 404, isFinal: false }),
    ],
    [
      'a list of one reference that has the payment of another merchant',
      'each GET and list shows the stored payment, and a final status that stays',
      viewed({ ...viewOf('PENDING', 13), payment: { ...viewOf('PENDING', 13).payment, id: OTHER } as ShownPayment }),
    ],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about lists are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})

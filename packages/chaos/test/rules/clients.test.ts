import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { ShownPayment } from '../../src/payment-request.ts'
import {
  answered,
  broken,
  brokenBeside,
  CREATED_ANSWER,
  LAST,
  LAST_PENDING,
  PAYMENT_REQUEST,
  TAKEN_ANSWER,
  UNANSWERED,
  viewed,
  viewOf,
} from '../good-facts.ts'

type Case = [title: string, rule: string, change: Partial<Facts>]

describe('invariants about clients', () => {
  it('invariants about clients hold for a payment that existed when its client retried', () => {
    for (const status of ['none', 503] as const)
      expect(brokenBeside(answered({ at: 11, status }, TAKEN_ANSWER, TAKEN_ANSWER))).to.deep.equal([])
    expect(broken(answered(CREATED_ANSWER, TAKEN_ANSWER, UNANSWERED))).to.deep.equal([])
  })

  it('invariants about clients hold for an older state in an answer that overlaps with the newer one', () => {
    expect(broken(viewed({ ...viewOf('PENDING', 41), answeredAt: 60 }))).to.deep.equal([])
  })

  const seen = 'each GET and list finds the payment that was answered with its id, and never an older state'
  const shown = 'each GET and list shows the stored payment, and a final status that stays'
  const over = 'at the end, each API shows the final status of each payment'
  const documented = 'every answer is a documented one'
  const taken = 'a reference is taken once, by its first request'
  const cases: Case[] = [
    ['a payment that a GET does not find', seen, viewed({ ...viewOf('', 13), status: 404 })],
    ['an older state', seen, viewed(viewOf('PENDING', 42))],
    ['a final status that changes', shown, viewed(viewOf('FAILED', 12))],
    ['an unknown status', shown, viewed(viewOf('ENDED', 12))],
    ...(['id', 'amount', 'currency', 'reference'] as const).map((member): Case => {
      const view = viewOf('PENDING', 13)
      const payment = { ...view.payment, [member]: 'another' } as ShownPayment
      return [`another ${member} in the answer to a GET`, shown, viewed({ ...view, payment })]
    }),
    [
      'a payment that one API was not asked for at the end',
      over,
      { paymentRequests: [{ ...PAYMENT_REQUEST, views: [LAST] }] },
    ],
    [
      'a settled payment that an API shows as PENDING',
      over,
      { paymentRequests: [{ ...PAYMENT_REQUEST, views: [LAST, LAST_PENDING] }] },
    ],
    ['an API that does not answer at the end', over, viewed({ at: 50, answeredAt: 60, status: 'none', isFinal: true })],
    ['an answer that is not documented', documented, answered(CREATED_ANSWER, { at: 13, status: 500 })],
    [
      'a GET whose answer is not documented',
      documented,
      viewed({ at: 13, answeredAt: 14, status: 500, isFinal: false }),
    ],
    ['a 201 without an id', 'a 201 or a 409 names its payment', answered({ at: 12, status: 201 })],
    ['a reference that was taken before', taken, answered({ ...CREATED_ANSWER, status: 409 })],
    [
      'a reference that was taken before an undocumented answer',
      taken,
      answered({ at: 11, status: 400 }, TAKEN_ANSWER),
    ],
    ['a payment that is created twice', taken, answered(CREATED_ANSWER, { ...CREATED_ANSWER, at: 13 })],
    ['a payment that is created after it existed', taken, answered(UNANSWERED, TAKEN_ANSWER, CREATED_ANSWER)],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about clients are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})

import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { Shown } from '../../src/wish.ts'
import {
  answered,
  broken,
  brokenBeside,
  CREATED_ANSWER,
  LAST,
  LAST_PENDING,
  TAKEN_ANSWER,
  UNANSWERED,
  viewed,
  viewOf,
  WISH,
} from '../good-facts.ts'

type Case = [title: string, rule: string, change: Partial<Facts>]

describe('invariants about clients', () => {
  it('hold for one that was there already when its client asked again', () => {
    for (const status of ['none', 503] as const)
      expect(brokenBeside(answered({ at: 11, status }, TAKEN_ANSWER, TAKEN_ANSWER))).to.deep.equal([])
    expect(broken(answered(CREATED_ANSWER, TAKEN_ANSWER, UNANSWERED))).to.deep.equal([])
  })

  it('hold for an older state in an answer that was under way with the newer one', () => {
    expect(broken(viewed({ ...viewOf('PENDING', 41), answeredAt: 60 }))).to.deep.equal([])
  })

  const seen = 'a GET finds what was answered, and never an older state'
  const shown = 'a GET shows the payment that is stored, and its end as it stays'
  const over = 'when all is over, each API shows how each payment has ended'
  const documented = 'every answer is a documented one'
  const taken = 'a reference is taken once, by whoever asks for it first'
  const cases: Case[] = [
    ['a payment that a GET does not find', seen, viewed({ ...viewOf('', 13), status: 404 })],
    ['an older state', seen, viewed(viewOf('PENDING', 42))],
    ['an end that does not stay', shown, viewed(viewOf('FAILED', 12))],
    ['a state that there is not', shown, viewed(viewOf('ENDED', 12))],
    ...(['id', 'amount', 'currency', 'reference'] as const).map((member): Case => {
      const view = viewOf('PENDING', 13)
      const payment = { ...view.payment, [member]: 'another' } as Shown
      return [`another ${member} in the answer to a GET`, shown, viewed({ ...view, payment })]
    }),
    ['an end that an API does not show', over, { wishes: [{ ...WISH, views: [LAST] }] }],
    ['an end that an API shows as none', over, { wishes: [{ ...WISH, views: [LAST, LAST_PENDING] }] }],
    ['an API that does not answer in the end', over, viewed({ at: 50, answeredAt: 60, status: 'none', isLast: true })],
    ['an answer that is not documented', documented, answered(CREATED_ANSWER, { at: 13, status: 500 })],
    [
      'a GET whose answer is not documented',
      documented,
      viewed({ at: 13, answeredAt: 14, status: 500, isLast: false }),
    ],
    ['a 201 without an id', 'a 201 or a 409 names its payment', answered({ at: 12, status: 201 })],
    ['a reference that was taken before', taken, answered({ ...CREATED_ANSWER, status: 409 })],
    [
      'a reference that was taken before an undocumented answer',
      taken,
      answered({ at: 11, status: 400 }, TAKEN_ANSWER),
    ],
    ['a payment that is created again', taken, answered(CREATED_ANSWER, { ...CREATED_ANSWER, at: 13 })],
    ['a payment that is created after it was there', taken, answered(UNANSWERED, TAKEN_ANSWER, CREATED_ANSWER)],
  ]
  for (const [title, rule, change] of cases) {
    it(`break with ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})

import { expect } from 'chai'
import type { Facts } from '../../src/facts.ts'
import type { Answer, ShownPayment } from '../../src/payment-request.ts'
import {
  answered,
  broken,
  CREATED_ANSWER,
  ID,
  OTHER,
  PAYMENT,
  PAYMENT_REQUEST,
  TAKEN_ANSWER,
  UNANSWERED,
} from '../good-facts.ts'

const BODY = `{"id":"${ID}","status":"PENDING"}`
const CREATED: Answer = { ...CREATED_ANSWER, body: BODY, isReplay: false }
const REPLAY: Answer = { ...CREATED, isReplay: true }
const BY_PACKAGE: Answer = { ...CREATED_ANSWER, isReplay: 'unknown' }
const KEYED = { ...PAYMENT, idempotencyKey: 'key' }

/** The differences for a payment whose requests have an idempotency key. */
function keyed(...answers: Answer[]): Partial<Facts> {
  return { payments: [KEYED], paymentRequests: [{ ...PAYMENT_REQUEST, idempotencyKey: 'key', answers }] }
}

describe('invariants about idempotency keys', () => {
  it('invariants about idempotency keys hold for a creation and its replays', () => {
    expect(broken(keyed(CREATED, REPLAY, UNANSWERED, REPLAY))).to.eql([])
  })

  it('invariants about idempotency keys hold for a creation whose answer was lost', () => {
    expect(broken(keyed(UNANSWERED, REPLAY, REPLAY))).to.eql([])
  })

  it('invariants about idempotency keys hold for an answer that does not tell whether it is a replay', () => {
    expect(broken(keyed(BY_PACKAGE, REPLAY, REPLAY))).to.eql([])
  })

  const one = 'an idempotency key has one payment, which answers name'
  const same = 'all answers of an idempotency key have the body of the creation, byte for byte'
  const replayed = 'at the end, each API replays each request with an idempotency key'
  const kind = 'a repeated request is answered with the creation if it has an idempotency key, else with 409'
  const first = 'a reference is taken once, by its first request'
  const requested = 'a stored payment is one that a client requested'
  const changed = (body: string) => keyed(CREATED, REPLAY, { ...REPLAY, body })
  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    [
      'a key with two payments',
      one,
      { ...keyed(CREATED, REPLAY, REPLAY), payments: [KEYED, { ...KEYED, id: OTHER, reference: 'else' }] },
    ],
    ['a key that is not stored', one, { ...keyed(CREATED, REPLAY, REPLAY), payments: [PAYMENT] }],
    [
      'a key that is stored for another merchant',
      one,
      { ...keyed(CREATED, REPLAY, REPLAY), payments: [{ ...KEYED, merchantId: 'another' }] },
    ],
    ['a key that no client sent', requested, { payments: [KEYED] }],
    ['metadata that no client sent', requested, { payments: [{ ...PAYMENT, metadata: { order: '1' } }] }],
    [
      'metadata that a GET does not show',
      'each GET and list shows the stored payment, and a final status that stays',
      {
        payments: [{ ...PAYMENT, metadata: { order: '1' } }],
        paymentRequests: [{ ...PAYMENT_REQUEST, metadata: { order: '1' } }],
      },
    ],
    [
      'metadata that only a GET shows',
      'each GET and list shows the stored payment, and a final status that stays',
      {
        paymentRequests: [
          {
            ...PAYMENT_REQUEST,
            views: PAYMENT_REQUEST.views.map((view) => ({
              ...view,
              payment: { ...view.payment, metadata: {} } as ShownPayment,
            })),
          },
        ],
      },
    ],
    ['a replay with another space', same, changed(BODY.replace(',', ', '))],
    ['replays that show the end', same, keyed(...[REPLAY, REPLAY].map(ended))],
    ['a request that one API has not replayed', replayed, keyed(CREATED, REPLAY)],
    [
      'a request that one API has not replayed, after an answer that does not tell',
      replayed,
      keyed(BY_PACKAGE, REPLAY),
    ],
    ['a creation after an answer that does not tell', first, keyed(BY_PACKAGE, CREATED, REPLAY, REPLAY)],
    ['a 409 to a repeated request with a key', kind, keyed(CREATED, REPLAY, REPLAY, TAKEN_ANSWER)],
    ['a replay without a key', kind, answered(CREATED, REPLAY)],
    ['a replay of a request that was not sent before', first, keyed(REPLAY, REPLAY)],
    ['a second creation', first, keyed(CREATED, REPLAY, REPLAY, CREATED)],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about idempotency keys are broken by ${title}`, () => {
      expect(broken(change)).to.include(rule)
    })
  }
})

function ended(answer: Answer): Answer {
  return { ...answer, body: BODY.replace('PENDING', 'SUCCESS') }
}

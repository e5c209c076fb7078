import { expect } from 'chai'
import type { Facts, PaymentRow } from '../../src/facts.ts'
import type { Answer, PaymentRequest, ShownPayment, View } from '../../src/payment-request.ts'
import {
  brokenBeside,
  CREATED,
  ENDED,
  GOOD,
  ID,
  LAST,
  LIST,
  PAYMENT,
  PAYMENT_REQUEST,
  POSTED,
  SEEN_CREATED,
  SEEN_ENDED,
  viewOf,
} from '../good-facts.ts'

const CANCELED: PaymentRow = { ...PAYMENT, status: 'FAILED', failureCode: 'canceled' }
const SHOWN = { ...viewOf('FAILED', 0).payment, failure_code: 'canceled' } as ShownPayment
const LAST_CANCELED: View = { ...LAST, payment: SHOWN }

/** The facts about a payment that was canceled before a worker claimed it. */
function canceled(statuses: Answer['status'][], request: Partial<PaymentRequest> = {}): Partial<Facts> {
  const cancels = statuses.map((status) => ({ at: 14, status }))
  const views = [viewOf('PENDING', 13), { ...viewOf('', 14), payment: SHOWN }, LAST_CANCELED, LAST_CANCELED]
  return {
    payments: [CANCELED],
    events: [CREATED, { ...ENDED, type: 'payment.failed' }],
    paymentRequests: [{ ...PAYMENT_REQUEST, views, cancels, ...request }],
    lists: GOOD.lists.map(() => ({ ...LIST, payments: [SHOWN] })),
    sightings: [SEEN_CREATED, { ...SEEN_ENDED, topic: 'payment.failed' }],
    requests: [],
    charges: [],
    responses: [],
  }
}

const refused = (...statuses: Answer['status'][]): Partial<Facts> => ({
  paymentRequests: [{ ...PAYMENT_REQUEST, cancels: statuses.map((status) => ({ at: 14, status })) }],
})

describe('invariants about cancels', () => {
  const stays = 'a payment that was answered as canceled stays canceled, also for a repeated cancel'
  const asked = 'a canceled payment is one that its client canceled, and was not only refused to cancel'
  const charged = 'the provider is never asked about a canceled payment'
  const shown = 'each GET and list shows the stored payment, and a final status that stays'
  const older = 'each GET and list finds the payment that was answered with its id, and never an older state'

  it('invariants about cancels hold for a canceled payment, also if the answer was lost', () => {
    for (const statuses of [[200], [503, 200, 200], ['none'], ['none', 409]] as Answer['status'][][])
      expect(brokenBeside(canceled(statuses)), statuses.join()).to.eql([])
  })

  it('invariants about cancels hold for a cancel that was refused, or may have come too late', () => {
    for (const statuses of [[409], ['none'], [503, 409], [401]] as Answer['status'][][])
      expect(brokenBeside(refused(...statuses)), statuses.join()).to.eql([])
  })

  const views = (...more: View[]) => ({
    views: [{ ...viewOf('', 14), payment: SHOWN }, ...more, LAST_CANCELED, LAST_CANCELED],
  })
  const cases: [title: string, rule: string, change: Partial<Facts>][] = [
    ['a payment that is settled after its cancel', stays, refused(200)],
    ['a repeated cancel that is refused', stays, canceled([200, 409])],
    [
      'another reason of failure after a cancel',
      stays,
      { ...canceled([200]), payments: [{ ...CANCELED, failureCode: 'declined' }] },
    ],
    ['a payment that a refused cancel has canceled', asked, canceled([409])],
    ['a payment that no client canceled', asked, canceled([])],
    ['a charge of a canceled payment', charged, { ...canceled([200]), requests: [POSTED] }],
    ['a look-up of a canceled payment', charged, { ...canceled([200]), requests: [{ ...POSTED, method: 'GET' }] }],
    ['a canceled payment that is shown as PENDING', older, canceled([200], views(viewOf('PENDING', 20)))],
    ['a canceled payment that is shown without its reason', shown, canceled([200], views(viewOf('FAILED', 20)))],
    [
      'a decline that is shown as canceled',
      shown,
      {
        ...canceled([]),
        payments: [{ ...CANCELED, failureCode: 'declined' }],
        responses: [{ key: ID, verdict: 'declined' }],
      },
    ],
    ['an undocumented answer to a cancel', 'every answer is a documented one', refused(404)],
  ]
  for (const [title, rule, change] of cases) {
    it(`invariants about cancels are broken by ${title}`, () => {
      expect(brokenBeside(change)).to.include(rule)
    })
  }
})

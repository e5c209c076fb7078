import type { EventRow, Facts, LetterRow, PaymentRow } from '../src/facts.ts'
import type { FinalList } from '../src/final-requests.ts'
import type { Feed } from '../src/followers.ts'
import { checkInvariants } from '../src/invariants.ts'
import type { Sighting } from '../src/observer.ts'
import type { Answer, PaymentRequest, ShownPayment, View } from '../src/payment-request.ts'
import type { Charge, ProviderRequest } from '../src/provider.ts'

export const ID = '01a20000-0000-7000-8000-000000000001'
export const OTHER = '01a20000-0000-7000-8000-000000000002'
const MONEY = { merchantId: 'merchant', reference: 'ref', amountMinor: 100, currency: 'USD' }

/** Returns a GET of the payment that took a millisecond. */
export function viewOf(status: string, at: number): View {
  const payment = { id: ID, status, amount: 1, currency: MONEY.currency, reference: MONEY.reference }
  return { at, answeredAt: at + 1, status: 200, payment, isFinal: false }
}

export const PAYMENT: PaymentRow = {
  id: ID,
  ...MONEY,
  metadata: null,
  idempotencyKey: null,
  status: 'SUCCESS',
  failureCode: null,
  attempts: 0,
  parked: false,
}
export const CREATED: EventRow = { paymentId: ID, sequence: 1, type: 'payment.created', committedAt: 11 }
export const ENDED: EventRow = { paymentId: ID, sequence: 2, type: 'payment.succeeded', committedAt: 30 }
export const CREATED_ANSWER: Answer = { at: 12, status: 201, paymentId: ID }
export const TAKEN_ANSWER: Answer = { ...CREATED_ANSWER, status: 409 }
export const UNANSWERED: Answer = { at: 11, status: 'none' }
export const LAST: View = { ...viewOf('SUCCESS', 100), isFinal: true }
export const HIDDEN: View = { at: 100, answeredAt: 101, status: 404, isFinal: true }
export const LAST_PENDING: View = { ...viewOf('PENDING', 100), isFinal: true }
export const PAYMENT_REQUEST: PaymentRequest = {
  ...MONEY,
  answers: [CREATED_ANSWER],
  views: [viewOf('PENDING', 13), viewOf('SUCCESS', 40), LAST, LAST],
  foreignViews: [HIDDEN, HIDDEN],
  cancels: [],
  histories: [],
}
export const CHARGE: Charge = {
  key: ID,
  paymentId: ID,
  amountMinor: 100,
  currency: 'USD',
  beganAt: 20,
  moved: true,
  known: true,
}
export const POSTED: ProviderRequest = { method: 'POST', key: ID, beganAt: 20 }
export const SEEN_CREATED: Sighting = { messageId: 'a', topic: 'payment.created', paymentId: ID, place: 0, at: 15 }
export const SEEN_ENDED: Sighting = { messageId: 'b', topic: 'payment.succeeded', paymentId: ID, place: 1, at: 35 }
export const LETTER: LetterRow = {
  key: ID,
  topic: 'payment.retry',
  source: 'worker',
  reason: 'HTTP 503',
  resolved: false,
  diedAt: 30,
}

/** The public ids of the events of a payment. */
export const [SEEN_1, SEEN_2] = [`evt_${ID}_1`, `evt_${ID}_2`] as const
export const LIST: FinalList = {
  merchantId: MONEY.merchantId,
  payments: [viewOf('SUCCESS', 0).payment].flatMap((payment) => payment ?? []),
  isWhole: true,
  failures: [],
}
export const FEED: Feed = {
  merchantId: MONEY.merchantId,
  pages: [
    { at: 15, ids: [SEEN_1], isStored: true },
    { at: 35, ids: [SEEN_2], isStored: true },
  ],
  failures: [],
  whole: [SEEN_1, SEEN_2],
}

/** The facts of one payment without a violation. */
export const GOOD: Facts = {
  payments: [PAYMENT],
  events: [CREATED, ENDED],
  letters: [],
  backlog: { pending: 0, outbox: 0, scheduled: 0, webhooks: 0, queues: { payments: 0 } },
  paymentRequests: [PAYMENT_REQUEST],
  keys: [{ id: 'key', secret: '', uses: [{ sentAt: 10, answeredAt: 12, status: 201 }] }],
  lists: [LIST, LIST],
  feeds: [FEED],
  endpoints: [],
  shownEvents: new Map(),
  deliveries: [],
  apis: 2,
  requests: [POSTED],
  charges: [CHARGE],
  responses: [{ key: ID, verdict: 'approved' }],
  sightings: [SEEN_CREATED, SEEN_ENDED],
  exits: [],
  idle: [],
  faultsLeft: [],
  unobserved: [],
  refusals: [],
  failovers: [],
}

export const PARKED: PaymentRow = { ...PAYMENT, status: 'PENDING', parked: true, attempts: 10 }
/** The differences for a payment that no attempt could settle. */
export const PARKED_WELL: Partial<Facts> = {
  payments: [PARKED],
  letters: [LETTER],
  events: [CREATED],
  requests: Array.from({ length: 10 }, () => POSTED),
  charges: Array.from({ length: 10 }, () => ({ ...CHARGE, moved: false })),
  paymentRequests: [{ ...PAYMENT_REQUEST, views: [LAST_PENDING, LAST_PENDING] }],
  sightings: [SEEN_CREATED],
  ...listed('PENDING'),
  feeds: [{ ...FEED, pages: FEED.pages.slice(0, 1), whole: [SEEN_1] }],
}

/** The final lists, with this status of the payment. */
function listed(status: string): Pick<Facts, 'lists'> {
  const list = { ...LIST, payments: LIST.payments.map((payment) => ({ ...payment, status })) }
  return { lists: [list, list] }
}

/**
 * Adds the facts of another settled payment. Without them, a payment without an end or an answer breaks the rule about
 * the run itself.
 */
function withAnother(facts: Facts): Facts {
  const another = { reference: 'another' }
  const about = { id: OTHER, ...another }
  const viewed = PAYMENT_REQUEST.views.map((view) => ({
    ...view,
    payment: { ...viewOf('', 0).payment, ...view.payment, ...about } as ShownPayment,
  }))
  const answers = PAYMENT_REQUEST.answers.map((answer) => ({ ...answer, paymentId: OTHER }))
  const shown = LIST.payments.map((payment) => ({ ...payment, ...about }))
  const ids = [SEEN_1, SEEN_2].map((id) => id.replace(ID, OTHER))
  return {
    ...facts,
    lists: facts.lists.map((list) => ({ ...list, payments: [...list.payments, ...shown] })),
    feeds: facts.feeds.map((feed) => ({
      ...feed,
      pages: [...feed.pages, { at: 35, ids, isStored: true }],
      whole: [...(feed.whole ?? []), ...ids],
    })),
    payments: [...facts.payments, { ...PAYMENT, ...about }],
    events: [...facts.events, ...GOOD.events.map((event) => ({ ...event, paymentId: OTHER }))],
    paymentRequests: [...facts.paymentRequests, { ...PAYMENT_REQUEST, ...another, answers, views: viewed }],
    requests: [...facts.requests, { ...POSTED, key: OTHER }],
    charges: [...facts.charges, { ...CHARGE, key: OTHER, paymentId: OTHER }],
    responses: [...facts.responses, ...GOOD.responses.map((responses) => ({ ...responses, key: OTHER }))],
    sightings: [...facts.sightings, ...GOOD.sightings.map((seen) => ({ ...seen, paymentId: OTHER }))],
  }
}

export const AWAY = { topic: 'payment.created', from: 5, to: 100, waiting: new Set<string>() }

export function answered(...answers: Answer[]): Partial<Facts> {
  return { paymentRequests: [{ ...PAYMENT_REQUEST, answers }] }
}

export function viewed(view: View): Partial<Facts> {
  return { paymentRequests: [{ ...PAYMENT_REQUEST, views: [...PAYMENT_REQUEST.views, view] }] }
}

/** Returns the rules that the good facts with a change break. */
export function broken(change: Partial<Facts>): string[] {
  return checkInvariants({ ...GOOD, ...change }).map(({ rule }) => rule)
}

export function brokenBeside(change: Partial<Facts>): string[] {
  return checkInvariants(withAnother({ ...GOOD, ...change })).map(({ rule }) => rule)
}

import type { EventRow, Facts, LetterRow, PaymentRow } from '../src/facts.ts'
import { checkInvariants } from '../src/invariants.ts'
import type { Sighting } from '../src/observer.ts'
import type { Charge, ProviderRequest } from '../src/provider.ts'
import type { Answer, Shown, View, Wish } from '../src/wish.ts'

export const ID = '01a20000-0000-7000-8000-000000000001'
export const OTHER = '01a20000-0000-7000-8000-000000000002'
const MONEY = { reference: 'ref', amountMinor: 100, currency: 'USD' }

/** A GET of the payment that took a millisecond. */
export function viewOf(status: string, at: number): View {
  const payment = { id: ID, status, amount: 1, currency: MONEY.currency, reference: MONEY.reference }
  return { at, answeredAt: at + 1, status: 200, payment, isLast: false }
}

export const PAYMENT: PaymentRow = { id: ID, ...MONEY, status: 'SUCCESS', attempts: 0, parked: false }
export const CREATED: EventRow = { paymentId: ID, sequence: 1, type: 'payment.created', committedAt: 11 }
export const ENDED: EventRow = { paymentId: ID, sequence: 2, type: 'payment.succeeded', committedAt: 30 }
export const CREATED_ANSWER: Answer = { at: 12, status: 201, paymentId: ID }
export const TAKEN_ANSWER: Answer = { ...CREATED_ANSWER, status: 409 }
export const UNANSWERED: Answer = { at: 11, status: 'none' }
export const LAST: View = { ...viewOf('SUCCESS', 100), isLast: true }
export const LAST_PENDING: View = { ...viewOf('PENDING', 100), isLast: true }
export const WISH: Wish = {
  ...MONEY,
  answers: [CREATED_ANSWER],
  views: [viewOf('PENDING', 13), viewOf('SUCCESS', 40), LAST, LAST],
}
export const CHARGE: Charge = {
  ...{ key: ID, paymentId: ID, amountMinor: 100, currency: 'USD' },
  ...{ beganAt: 20, moved: true, known: true },
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

/** One payment's life, as it should be. */
export const GOOD: Facts = {
  payments: [PAYMENT],
  events: [CREATED, ENDED],
  letters: [],
  backlog: { pending: 0, outbox: 0, scheduled: 0, queues: { payments: 0 } },
  wishes: [WISH],
  apis: 2,
  requests: [POSTED],
  charges: [CHARGE],
  told: [{ key: ID, verdict: 'approved' }],
  sightings: [SEEN_CREATED, SEEN_ENDED],
  exits: [],
  idle: [],
  faultsLeft: [],
  unobserved: [],
  refusals: [],
  failovers: [],
}

export const PARKED: PaymentRow = { ...PAYMENT, status: 'PENDING', parked: true, attempts: 10 }
/** What differs with one that no attempt could settle. */
export const PARKED_WELL: Partial<Facts> = {
  payments: [PARKED],
  letters: [LETTER],
  events: [CREATED],
  requests: Array.from({ length: 10 }, () => POSTED),
  charges: Array.from({ length: 10 }, () => ({ ...CHARGE, moved: false })),
  wishes: [{ ...WISH, views: [LAST_PENDING, LAST_PENDING] }],
  sightings: [SEEN_CREATED],
}
/** Another payment's good life beside these: what has no end, or no answer, is no run by itself. */
function besideAnother(facts: Facts): Facts {
  const another = { reference: 'another' }
  const about = { id: OTHER, ...another }
  const viewed = WISH.views.map((view) => ({
    ...view,
    payment: { ...viewOf('', 0).payment, ...view.payment, ...about } as Shown,
  }))
  const answers = WISH.answers.map((answer) => ({ ...answer, paymentId: OTHER }))
  return {
    ...facts,
    payments: [...facts.payments, { ...PAYMENT, ...about }],
    events: [...facts.events, ...GOOD.events.map((event) => ({ ...event, paymentId: OTHER }))],
    wishes: [...facts.wishes, { ...WISH, ...another, answers, views: viewed }],
    requests: [...facts.requests, { ...POSTED, key: OTHER }],
    charges: [...facts.charges, { ...CHARGE, key: OTHER, paymentId: OTHER }],
    told: [...facts.told, ...GOOD.told.map((told) => ({ ...told, key: OTHER }))],
    sightings: [...facts.sightings, ...GOOD.sightings.map((seen) => ({ ...seen, paymentId: OTHER }))],
  }
}

export const AWAY = { topic: 'payment.created', from: 5, to: 100, waiting: new Set<string>() }

export function answered(...answers: Answer[]): Partial<Facts> {
  return { wishes: [{ ...WISH, answers }] }
}

export function viewed(view: View): Partial<Facts> {
  return { wishes: [{ ...WISH, views: [...WISH.views, view] }] }
}

/** The rules that a good life with a change breaks. */
export function broken(change: Partial<Facts>): string[] {
  return checkInvariants({ ...GOOD, ...change }).map(({ rule }) => rule)
}

export function brokenBeside(change: Partial<Facts>): string[] {
  return checkInvariants(besideAnother({ ...GOOD, ...change })).map(({ rule }) => rule)
}

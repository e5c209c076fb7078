import { isDeepStrictEqual } from 'node:util'
import type { PaymentRow } from '../facts.ts'
import { type Answer, idOf, type PaymentRequest, type ShownPayment } from '../payment-request.ts'
import type { Rule } from './rule.ts'

/** Whether a 401 or a 429 may be answered is a rule about keys. */
const REFUSED: readonly Answer['status'][] = [401, 429]
const POST_ANSWERS: readonly Answer['status'][] = [201, 409, 503, 'none', ...REFUSED]
const GET_ANSWERS: readonly Answer['status'][] = [200, 404, 503, 'none', ...REFUSED]
const CANCEL_ANSWERS: readonly Answer['status'][] = [200, 409, 503, 'none', ...REFUSED]
const PAGE_ANSWERS: readonly Answer['status'][] = [200, 503, 'none', ...REFUSED]

/** Rules about the answers to clients. */
export const CLIENT_RULES: readonly Rule[] = [
  {
    name: 'every answer is a documented one',
    harm: 'other',
    *check({ paymentRequests, lists, feeds }) {
      for (const { reference, answers, views, cancels } of paymentRequests) {
        for (const { status } of answers)
          if (!POST_ANSWERS.includes(status)) yield `${reference} was answered with ${status}`
        for (const { status } of views)
          if (!GET_ANSWERS.includes(status)) yield `a GET of ${reference} was answered with ${status}`
        for (const { status } of cancels)
          if (!CANCEL_ANSWERS.includes(status)) yield `a cancel of ${reference} was answered with ${status}`
      }
      for (const status of [...lists, ...feeds].flatMap(({ failures }) => failures))
        if (!PAGE_ANSWERS.includes(status)) yield `a list was answered with ${status}`
    },
  },
  {
    name: 'a 201 or a 409 names its payment',
    harm: 'other',
    *check({ paymentRequests }) {
      for (const { reference, answers } of paymentRequests)
        for (const { status, paymentId } of answers)
          if ((status === 201 || status === 409) && paymentId === undefined)
            yield `${reference}: ${status} without an id`
    },
  },
  {
    name: 'a reference is taken once, by its first request',
    harm: 'doubled',
    *check({ paymentRequests }) {
      for (const request of paymentRequests) {
        const kinds = request.answers.map((answer) => kindOf(request, answer))
        const first = kinds.findIndex((kind) => kind === 'created' || kind === 'repeated' || kind === 'stored')
        // A request without an answer, or with 503, may have stored the payment.
        const mayBeThere = request.answers
          .slice(0, Math.max(0, first))
          .some(({ status }) => status === 'none' || status === 503)
        if (kinds[first] === 'repeated' && !mayBeThere)
          yield about(request, `${request.reference} was taken before it was requested`)
        if (first >= 0 && kinds.indexOf('created', first + 1) > 0)
          yield about(request, `${request.reference} was created after it existed: ${kinds.join(', ')}`)
      }
    },
  },
  {
    name: 'a repeated request is answered with the creation if it has an idempotency key, else with 409',
    harm: 'other',
    *check({ paymentRequests }) {
      for (const request of paymentRequests)
        for (const answer of request.answers)
          if (kindOf(request, answer) === 'wrong')
            yield about(request, `${answer.status}, ${answer.isReplay ? '' : 'not '}replayed`)
    },
  },
  {
    name: 'each GET and list finds the payment that was answered with its id, and never an older state',
    harm: 'lost',
    *check({ paymentRequests }) {
      for (const request of paymentRequests) {
        const ended = request.views.filter(({ payment }) => payment && payment.status !== 'PENDING')
        const endedAt = Math.min(...ended.map(({ answeredAt }) => answeredAt))
        for (const { at, status, payment } of request.views) {
          // Either of two GETs at the same time may show the older state.
          const isOlder = payment?.status === 'PENDING' && at > endedAt
          if (status === 404 || isOlder)
            yield about(
              request,
              `${isOlder ? 'PENDING after its final status' : status} at ${new Date(at).toISOString()}`,
            )
        }
      }
    },
  },
  {
    name: 'each GET and list shows the stored payment, and a final status that stays',
    harm: 'doubled',
    *check({ paymentRequests, byId }) {
      for (const request of paymentRequests) {
        const paymentId = idOf(request)
        const row = paymentId === undefined ? undefined : byId.get(paymentId)
        if (!row) continue
        for (const { payment } of request.views) {
          if (!payment) continue
          const shown = payment.status === 'PENDING' ? { ...row, status: 'PENDING', failureCode: null } : row
          if (differsFrom(shown, payment)) yield [row.id, `was shown as ${JSON.stringify(payment)}`]
        }
      }
    },
  },
  {
    name: 'at the end, each API shows the final status of each payment',
    harm: 'lost',
    *check({ paymentRequests, byId, apis }) {
      for (const request of paymentRequests) {
        const id = idOf(request)
        if (id === undefined) continue
        const last = request.views.filter(({ isFinal }) => isFinal)
        const shown = last.map(({ status, payment }) => payment?.status ?? status)
        if (shown.length < apis) yield [id, `was read ${shown.length} times, not through ${apis} APIs`]
        if (shown.some((status) => status !== byId.get(id)?.status))
          yield [id, `was shown at the end as ${shown.join(', ')}`]
      }
    },
  },
]

/** What an answer says about the payment: this request has created it, or an earlier one. `stored`: one of them has. */
function kindOf({ idempotencyKey }: PaymentRequest, { status, isReplay = false }: Answer) {
  const isKeyed = idempotencyKey !== undefined
  if (status === 201 && isReplay === 'unknown') return 'stored'
  if (status === 201) return !isReplay ? 'created' : isKeyed ? 'repeated' : 'wrong'
  if (status === 409) return isKeyed ? 'wrong' : 'repeated'
  return 'unknown'
}

/** Returns whether an answer shows the payment otherwise than it is stored. */
export function differsFrom(row: Omit<PaymentRow, 'status'> & { status: string }, shown: ShownPayment): boolean {
  const { amount, metadata = null, failure_code: failureCode = null, ...rest } = shown
  const isSame = (['id', 'status', 'currency', 'reference'] as const).every((member) => rest[member] === row[member])
  // The double that is next to the decimal number, or the decimal number itself.
  const isAmount = amount === row.amountMinor / 100 || amount === (row.amountMinor / 100).toFixed(2)
  return !isSame || !isAmount || failureCode !== row.failureCode || !isDeepStrictEqual(metadata, row.metadata)
}

export function about(request: PaymentRequest, what: string): string | [paymentId: string, what: string] {
  const id = idOf(request)
  return id === undefined ? what : [id, what]
}

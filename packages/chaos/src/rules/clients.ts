import type { Rule } from '../invariants.ts'
import { type Answer, idOf } from '../wish.ts'

const POST_ANSWERS: readonly Answer['status'][] = [201, 409, 503, 'none']
const GET_ANSWERS: readonly Answer['status'][] = [200, 404, 503, 'none']

/** About what clients were answered, and what they were shown. */
export const CLIENT_RULES: readonly Rule[] = [
  {
    name: 'every answer is a documented one',
    harm: 'other',
    *check({ wishes }) {
      for (const { reference, answers, views } of wishes) {
        for (const { status } of answers)
          if (!POST_ANSWERS.includes(status)) yield `${reference} was answered with ${status}`
        for (const { status } of views)
          if (!GET_ANSWERS.includes(status)) yield `a GET of ${reference} was answered with ${status}`
      }
    },
  },
  {
    name: 'a 201 or a 409 names its payment',
    harm: 'other',
    *check({ wishes }) {
      for (const { reference, answers } of wishes)
        for (const { status, paymentId } of answers)
          if ((status === 201 || status === 409) && paymentId === undefined)
            yield `${reference}: ${status} without an id`
    },
  },
  {
    name: 'a reference is taken once, by whoever asks for it first',
    harm: 'doubled',
    *check({ wishes }) {
      for (const wish of wishes) {
        const statuses = wish.answers.map(({ status }) => status)
        const first = statuses.findIndex((status) => status === 201 || status === 409)
        // Of a request without an answer, or with 503, nobody knows what became.
        const mayBeThere = statuses.slice(0, Math.max(0, first)).some((status) => status === 'none' || status === 503)
        if (statuses[first] === 409 && !mayBeThere)
          yield [idOf(wish) ?? '', `${wish.reference} was taken before it was asked for`]
        if (first >= 0 && statuses.indexOf(201, first + 1) > 0)
          yield [idOf(wish) ?? '', `${wish.reference} was created after it was there: ${statuses.join(', ')}`]
      }
    },
  },
  {
    name: 'a GET finds what was answered, and never an older state',
    harm: 'lost',
    *check({ wishes }) {
      for (const wish of wishes) {
        const ended = wish.views.filter(({ payment }) => payment && payment.status !== 'PENDING')
        const endedAt = Math.min(...ended.map(({ answeredAt }) => answeredAt))
        for (const { at, status, payment } of wish.views) {
          // Of two under way at the same time either may be the older one.
          const isOlder = payment?.status === 'PENDING' && at > endedAt
          if (status === 404 || isOlder)
            yield [idOf(wish) ?? '', `${isOlder ? 'PENDING after its end' : status} at ${new Date(at).toISOString()}`]
        }
      }
    },
  },
  {
    name: 'a GET shows the payment that is stored, and its end as it stays',
    harm: 'doubled',
    *check({ wishes, byId }) {
      for (const wish of wishes) {
        const row = byId.get(idOf(wish) ?? '')
        if (!row) continue
        for (const { payment } of wish.views) {
          if (!payment) continue
          const { id, status, amount, currency, reference } = payment
          const isSame = id === row.id && currency === row.currency && reference === row.reference
          // The double that is next to the decimal number, on either side.
          const isAmount = amount === row.amountMinor / 100
          if (!isSame || !isAmount || (status !== 'PENDING' && status !== row.status))
            yield [row.id, `was shown as ${JSON.stringify(payment)}`]
        }
      }
    },
  },
  {
    name: 'when all is over, each API shows how each payment has ended',
    harm: 'lost',
    *check({ wishes, byId, apis }) {
      for (const wish of wishes) {
        const id = idOf(wish)
        if (id === undefined) continue
        const last = wish.views.filter(({ isLast }) => isLast)
        const shown = last.map(({ status, payment }) => payment?.status ?? status)
        if (shown.length < apis) yield [id, `was looked at ${shown.length} times, not through ${apis} APIs`]
        if (shown.some((status) => status !== byId.get(id)?.status))
          yield [id, `was shown in the end as ${shown.join(', ')}`]
      }
    },
  },
]

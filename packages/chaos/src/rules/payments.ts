import { isDeepStrictEqual } from 'node:util'
import { idOf } from '../payment-request.ts'
import { type Rule, referenceOf } from './rule.ts'

export const END_OF = { SUCCESS: 'payment.succeeded', FAILED: 'payment.failed' } as const
const ATTEMPTS_MAX = 10

/** Rules about stored payments. */
export const PAYMENT_RULES: readonly Rule[] = [
  {
    name: 'a payment that was answered with its id is stored',
    harm: 'lost',
    *check({ paymentRequests, byId }) {
      for (const request of paymentRequests) {
        const id = idOf(request)
        const row = id === undefined ? undefined : byId.get(id)
        if (id !== undefined && (!row || referenceOf(row) !== referenceOf(request)))
          yield [
            id,
            `${referenceOf(request)} was answered with ${request.answers.map(({ status }) => status).join(', ')}`,
          ]
      }
    },
  },
  {
    name: 'a stored payment is one that a client requested',
    harm: 'other',
    *check({ payments, paymentRequestOf }) {
      for (const row of payments) {
        const { amountMinor, currency, metadata, idempotencyKey } = row
        const stored = { amountMinor, currency, metadata, idempotencyKey }
        const request = paymentRequestOf.get(referenceOf(row))
        const requested = request && {
          amountMinor: request.amountMinor,
          currency: request.currency,
          metadata: request.metadata ?? null,
          idempotencyKey: request.idempotencyKey ?? null,
        }
        if (!isDeepStrictEqual(stored, requested))
          yield [row.id, `${JSON.stringify(requested)} was requested, ${JSON.stringify(stored)} is stored`]
      }
    },
  },
  {
    name: 'a reference has one payment, and one id in all answers',
    harm: 'doubled',
    *check({ paymentRequests, byReference }) {
      for (const [reference, rows] of byReference)
        for (const { id } of rows.slice(1)) yield [id, `reference ${reference} has ${rows.length} payments`]
      for (const request of paymentRequests) {
        const ids = new Set(request.answers.flatMap(({ paymentId }) => paymentId ?? []))
        if (ids.size > 1) yield `${request.reference} was answered with several ids, ${[...ids].join(', ')}`
      }
    },
  },
  {
    name: 'a payment ends, or is parked with a dead letter that says why',
    harm: 'lost',
    *check({ payments, letters }) {
      const waiting = letters.filter(({ source, resolved }) => source === 'worker' && !resolved)
      const explained = new Set(waiting.map(({ key }) => key))
      for (const { id, status, parked, attempts } of payments) {
        if (status !== 'PENDING') continue
        if (!parked) yield [id, `is still PENDING after ${attempts} attempts`]
        else if (attempts < ATTEMPTS_MAX || !explained.has(id))
          yield [id, `is parked after ${attempts} attempts, without a dead letter`]
      }
    },
  },
  {
    name: 'no payment is tried more often than it may be',
    harm: 'other',
    *check({ payments }) {
      for (const { id, status, attempts } of payments) {
        // `attempts` does not include the attempt that settled the payment.
        const tried = status === 'PENDING' ? attempts : attempts + 1
        if (tried > ATTEMPTS_MAX) yield [id, `is ${status} after ${tried} attempts`]
      }
    },
  },
  {
    name: 'a payment has its created event, and one event of its end if it has ended',
    harm: 'doubled',
    *check({ payments, eventsOf }) {
      for (const { id, status } of payments) {
        const types = (eventsOf.get(id) ?? []).map(({ type }) => type)
        const due = ['payment.created', ...(status === 'PENDING' ? [] : [END_OF[status]])]
        if (types.join() !== due.join()) yield [id, `is ${status}, its events are [${types.join(', ')}]`]
      }
    },
  },
  {
    name: 'an event has its payment',
    harm: 'other',
    *check({ eventsOf, byId }) {
      for (const id of eventsOf.keys()) if (!byId.has(id)) yield [id, 'has events and no row']
    },
  },
]

import { CANCELED } from './cancels.ts'
import type { Rule } from './rule.ts'

const VERDICT_OF = { SUCCESS: 'approved', FAILED: 'declined' } as const

/**
 * Tolerance between the times of PostgreSQL and the provider, in milliseconds. Both read one clock, which may be
 * stepped or slewed. The provider's time is cut to milliseconds, PostgreSQL's has microseconds. PostgreSQL takes its
 * time before a commit becomes visible.
 */
const CLOCKS_MS = 5

/** Rules about requests to the provider, and about its answers. */
export const PROVIDER_RULES: readonly Rule[] = [
  {
    name: 'a charge has the key, the amount and the currency of its payment',
    harm: 'doubled',
    *check({ charges, byId }) {
      for (const { key, paymentId, amountMinor, currency } of charges) {
        const row = byId.get(paymentId)
        if (key !== paymentId) yield [paymentId, `was charged under the key ${key}`]
        if (row && (row.amountMinor !== amountMinor || row.currency !== currency))
          yield [paymentId, `of ${row.amountMinor} ${row.currency} was charged with ${amountMinor} ${currency}`]
      }
    },
  },
  {
    name: 'the provider is asked only about stored payments, and only after their creation',
    harm: 'doubled',
    *check({ requestsOf, byId, eventsOf }) {
      for (const [id, requests] of requestsOf) {
        if (!byId.has(id)) yield [id, 'the provider was asked about a payment that does not exist']
        const createdAt = eventsOf.get(id)?.[0]?.committedAt ?? null
        for (const { method, beganAt } of requests)
          if (createdAt !== null && beganAt < createdAt - CLOCKS_MS)
            yield [id, `${method} ${Math.ceil(createdAt - beganAt)} ms before it was created`]
      }
    },
  },
  {
    name: 'the provider is asked about no payment that has ended',
    harm: 'doubled',
    *check({ requestsOf, eventsOf }) {
      for (const [id, requests] of requestsOf) {
        const endedAt = eventsOf.get(id)?.[1]?.committedAt ?? null
        for (const { method, beganAt } of requests)
          if (endedAt !== null && beganAt > endedAt)
            yield [id, `${method} ${Math.ceil(beganAt - endedAt)} ms after its end`]
      }
    },
  },
  {
    name: 'a payment has no more charges than attempts',
    harm: 'doubled',
    *check({ requestsOf, byId }) {
      for (const [id, requests] of requestsOf) {
        const payment = byId.get(id)
        if (!payment) continue
        // `attempts` counts every attempt that did not settle the payment. The one that settled it is not counted.
        const allowed = payment.attempts + (payment.status === 'PENDING' ? 0 : 1)
        // A request whose body never came counts too: it may have been a charge.
        const count = requests.filter(({ method }) => method !== 'GET').length
        if (count > allowed)
          yield [id, `was charged ${count} times, with ${payment.attempts} attempts, ${payment.status}`]
      }
    },
  },
  {
    name: 'money moves once for a key whose charge the provider reports',
    harm: 'doubled',
    *check({ chargesOf }) {
      for (const [id, charges] of chargesOf) {
        const count = charges.filter(({ moved, known }) => moved && known).length
        if (count > 1) yield [id, `moved money ${count} times`]
      }
    },
  },
  {
    // A worker that received an earlier answer had lost its claim. Otherwise it would have settled the payment.
    name: 'the final status of a payment is the last answer of the provider',
    harm: 'other',
    *check({ payments, responses }) {
      const last = new Map(responses.map(({ key, verdict }) => [key, verdict]))
      for (const { id, status, failureCode } of payments)
        if (status !== 'PENDING' && failureCode !== CANCELED && last.get(id) !== VERDICT_OF[status])
          yield [id, `is ${status}, and the provider's last answer is ${last.get(id) ?? 'missing'}`]
    },
  },
]

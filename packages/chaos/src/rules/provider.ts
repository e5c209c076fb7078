import type { Rule } from '../invariants.ts'

const VERDICT_OF = { SUCCESS: 'approved', FAILED: 'declined' } as const

/**
 * PostgreSQL and the provider read one clock. It is stepped and slewed under both, and the provider's time has whole
 * milliseconds, cut off, where PostgreSQL's has micros; PostgreSQL takes its own before it shows the commit to anybody.
 */
const CLOCKS_MS = 5

/** About what the provider was asked, and what became of its answers. */
export const PROVIDER_RULES: readonly Rule[] = [
  {
    name: 'the provider is asked under one key, for what was asked for',
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
    name: 'the provider is asked about a payment that is there, and only after it was created',
    harm: 'doubled',
    *check({ requestsOf, byId, eventsOf }) {
      for (const [id, requests] of requestsOf) {
        if (!byId.has(id)) yield [id, 'the provider was asked about it, and there is no such payment']
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
    name: 'there are no more charges than attempts that are accounted for',
    harm: 'doubled',
    *check({ requestsOf, byId }) {
      for (const [id, requests] of requestsOf) {
        const payment = byId.get(id)
        if (!payment) continue
        // Each attempt that came to nothing, its lease having ended or not, is counted; the one that settled is not.
        const allowed = payment.attempts + (payment.status === 'PENDING' ? 0 : 1)
        // Also those whose body never came: whoever was to be charged cannot know.
        const count = requests.filter(({ method }) => method !== 'GET').length
        if (count > allowed)
          yield [id, `was charged ${count} times, with ${payment.attempts} attempts, ${payment.status}`]
      }
    },
  },
  {
    name: 'money moves once, where the provider tells what it did when it is asked',
    harm: 'doubled',
    *check({ chargesOf }) {
      for (const [id, charges] of chargesOf) {
        const count = charges.filter(({ moved, known }) => moved && known).length
        if (count > 1) yield [id, `moved money ${count} times`]
      }
    },
  },
  {
    // Whoever was told before had lost the payment by then, or it would have been settled.
    name: 'a payment ends as the provider has said last',
    harm: 'other',
    *check({ payments, told }) {
      const last = new Map(told.map(({ key, verdict }) => [key, verdict]))
      for (const { id, status } of payments)
        if (status !== 'PENDING' && last.get(id) !== VERDICT_OF[status])
          yield [id, `is ${status}, and the provider has said ${last.get(id) ?? 'nothing'} last`]
    },
  },
]

import type { Rule } from '../invariants.ts'

const VERDICT_OF = { SUCCESS: 'approved', FAILED: 'declined' } as const

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
    name: 'a charge has a payment that was there before',
    harm: 'doubled',
    *check({ charges, byId }) {
      for (const { key } of charges) if (!byId.has(key)) yield [key, 'was charged, and there is no such payment']
    },
  },
  {
    name: 'no charge begins after its payment has ended',
    harm: 'doubled',
    *check({ chargesOf, eventsOf }) {
      for (const [id, charges] of chargesOf) {
        const endedAt = eventsOf.get(id)?.[1]?.committedAt
        for (const { beganAt } of charges)
          if (endedAt && beganAt > endedAt) yield [id, `was charged ${Math.ceil(beganAt - endedAt)} ms after its end`]
      }
    },
  },
  {
    name: 'there are no more charges than attempts that are accounted for',
    harm: 'doubled',
    *check({ chargesOf, byId }) {
      for (const [id, { length: count }] of chargesOf) {
        const payment = byId.get(id)
        if (!payment) continue
        // Each attempt that came to nothing, its lease having ended or not, is counted; the one that settled is not.
        const allowed = payment.attempts + (payment.status === 'PENDING' ? 0 : 1)
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

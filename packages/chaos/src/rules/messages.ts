import type { Rule } from '../invariants.ts'
import type { Unobserved } from '../observer.ts'
import { areLastWords } from './last-words.ts'
import { END_OF } from './payments.ts'

/** How much later than a message the word of a relay may be heard. */
const HEARD_LATE_MS = 2_000

/** About what was published. */
export const MESSAGE_RULES: readonly Rule[] = [
  {
    name: "an event's message has reached an observing queue",
    harm: 'lost',
    *check({ events, sightingsOf, unobserved }) {
      for (const { paymentId, type, committedAt } of events) {
        if (sightingsOf.get(paymentId)?.some(({ topic }) => topic === type)) continue
        // It may have found the worker's queue only.
        if (unobserved.some((time) => time.topic === type && coincide(time, paymentId, committedAt))) continue
        yield [paymentId, `${type} was never published`]
      }
    },
  },
  {
    name: 'a message is about a payment that is stored',
    harm: 'lost',
    *check({ sightingsOf, byId, failovers }) {
      for (const [id, sightings] of sightingsOf)
        if (!byId.has(id) && !areLastWords(sightings, failovers))
          yield [id, `${sightings.map(({ topic }) => topic).join(', ')} of no payment that there is`]
    },
  },
  {
    // No excuse for what a lost primary has said: the payment would end, and say so, again.
    name: 'an outcome that was published is the one that is stored',
    harm: 'doubled',
    *check({ payments, sightingsOf }) {
      for (const { id, status } of payments)
        for (const { topic } of sightingsOf.get(id) ?? [])
          if (isEnd(topic) && (status === 'PENDING' || topic !== END_OF[status]))
            yield [id, `is ${status} after ${topic}`]
    },
  },
  {
    name: 'first deliveries of a payment are in the order of its events',
    harm: 'other',
    *check({ sightingsOf, eventsOf, unobserved, refusals }) {
      for (const [id, sightings] of sightingsOf) {
        const createdAt = eventsOf.get(id)?.[0]?.committedAt ?? null
        const created = sightings.find(({ topic }) => topic === 'payment.created')
        const end = sightings.find(({ topic }) => isEnd(topic))
        if (!created || !end || created.place < end.place) continue
        // The first one that was seen may not have been the first.
        if (unobserved.some((time) => coincide(time, id, createdAt))) continue
        // What RabbitMQ refuses may be overtaken: docs/guarantees.md promises no order then.
        if (createdAt !== null && refusals.some((at) => at >= createdAt && at <= created.at + HEARD_LATE_MS)) continue
        yield [id, `${end.topic} came before payment.created`]
      }
    },
  },
  {
    name: 'an outcome is published once, under one message id',
    harm: 'doubled',
    *check({ sightingsOf }) {
      for (const [id, sightings] of sightingsOf) {
        const ends = sightings.filter(({ topic }) => isEnd(topic))
        if (ends.length > 1) yield [id, `${ends.length} outcomes: ${ends.map(({ topic }) => topic).join(', ')}`]
      }
    },
  },
]

function isEnd(topic: string): boolean {
  return topic === END_OF.SUCCESS || topic === END_OF.FAILED
}

/** Whether an event's message may have been published in that time. */
function coincide({ from, to, waiting }: Unobserved, paymentId: string, committedAt: number | null): boolean {
  return waiting.has(paymentId) || (committedAt !== null && committedAt >= from && committedAt <= to)
}

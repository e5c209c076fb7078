import type { Failover } from '../facts.ts'
import type { Sighting, Unobserved } from '../observer.ts'
import { END_OF } from './payments.ts'
import type { Rule } from './rule.ts'

/** Maximum delay from a message to a relay's log line about its refusal, in milliseconds. */
const HEARD_LATE_MS = 2_000

/** Rules about published messages. */
export const MESSAGE_RULES: readonly Rule[] = [
  {
    name: "an event's message has reached an observing queue",
    harm: 'lost',
    *check({ events, sightingsOf, unobserved }) {
      for (const { paymentId, type, committedAt } of events) {
        if (sightingsOf.get(paymentId)?.some(({ topic }) => topic === type)) continue
        // It may have been routed to the worker's queue only.
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
        if (!byId.has(id) && !mayBeUnreplicated(sightings, failovers))
          yield [id, `${sightings.map(({ topic }) => topic).join(', ')} of a payment that does not exist`]
    },
  },
  {
    // No exception for a lost primary: the payment would end, and publish its outcome, again.
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
        // The first observed delivery may not have been the first one.
        if (unobserved.some((time) => coincide(time, id, createdAt))) continue
        // A refused message may arrive later than the next one of its key: docs/guarantees.md promises no order then.
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

/**
 * Returns whether every message about a payment may come from a lost primary, which did not replicate the payment. The
 * primary's commits from before a failover are on the standby when the primary is killed, so no earlier sighting is
 * excused. After the failover no relay reads the lost primary, so no later sighting is excused either. Copies and dead
 * letters may come much later: only the first sighting counts.
 */
export function mayBeUnreplicated(sightings: readonly Sighting[], failovers: readonly Failover[]): boolean {
  const firstAt = Math.min(...sightings.map(({ at }) => at))
  return failovers.some(({ from, to }) => firstAt >= from && firstAt <= to)
}

function isEnd(topic: string): boolean {
  return topic === END_OF.SUCCESS || topic === END_OF.FAILED
}

/** Returns whether the event's message may have been published in that time. */
function coincide({ from, to, waiting }: Unobserved, paymentId: string, committedAt: number | null): boolean {
  return waiting.has(paymentId) || (committedAt !== null && committedAt >= from && committedAt <= to)
}

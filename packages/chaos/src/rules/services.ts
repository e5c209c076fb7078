import { mayBeUnreplicated } from './messages.ts'
import type { Rule } from './rule.ts'

/** Broken by a PostgreSQL without `track_commit_timestamp`. */
export const COMMIT_TIMES_KNOWN = 'PostgreSQL knows when each event was committed'

/** Rules about the services, and about what they leave behind. */
export const SERVICE_RULES: readonly Rule[] = [
  {
    name: 'the run has done something',
    harm: 'other',
    *check({ paymentRequests, payments }) {
      if (!paymentRequests.some(({ answers }) => answers.some(({ status }) => status === 201)))
        yield 'no client was answered with 201'
      if (!payments.some(({ status }) => status !== 'PENDING')) yield 'no payment has ended'
    },
  },
  {
    // Without the times of commits, most comparisons with the provider's books and with sightings would be skipped.
    name: COMMIT_TIMES_KNOWN,
    harm: 'other',
    *check({ events }) {
      const count = events.filter(({ committedAt }) => committedAt === null).length
      if (count > 0) yield `PostgreSQL does not know the commit time of ${count} events`
    },
  },
  {
    name: 'no message and no unfinished payment is left',
    harm: 'other',
    *check({ backlog: { queues, ...rows } }) {
      for (const [name, count] of Object.entries({ ...rows, ...queues }))
        if (count > 0) yield `${count} left in ${name}`
    },
  },
  {
    name: 'a dead letter is about a parked payment, or about one that only a lost primary stored',
    harm: 'other',
    *check({ letters, byId, sightingsOf, failovers }) {
      for (const { key, topic, source, reason } of letters) {
        const payment = byId.get(key)
        const isLost = reason === 'no such payment' && mayBeUnreplicated(sightingsOf.get(key) ?? [], failovers)
        if (payment ? !payment.parked : !isLost) yield [key, `${source}, ${topic}: ${reason}`]
      }
    },
  },
  {
    name: 'no service ends by itself, and each ends after SIGTERM',
    harm: 'other',
    check: ({ exits }) => exits,
  },
  {
    name: 'each instance does its work alone at the end',
    harm: 'other',
    check: ({ idle }) => idle,
  },
  {
    // Later observations do not count, because the state of the system is unknown.
    name: 'every fault is undone',
    harm: 'other',
    check: ({ faultsLeft }) => faultsLeft,
  },
]

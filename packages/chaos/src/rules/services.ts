import type { Rule } from '../invariants.ts'
import { areLastWords } from './last-words.ts'

/** A PostgreSQL without `track_commit_timestamp` knows none. */
export const COMMIT_TIMES_KNOWN = 'it is known when each event was committed'

/** About what the services leave behind. */
export const SERVICE_RULES: readonly Rule[] = [
  {
    name: 'the run has done something',
    harm: 'other',
    *check({ wishes, payments }) {
      if (!wishes.some(({ answers }) => answers.some(({ status }) => status === 201)))
        yield 'nobody was answered with 201'
      if (!payments.some(({ status }) => status !== 'PENDING')) yield 'no payment has ended'
    },
  },
  {
    // Most of what is compared with the provider's books and with what was seen would go unchecked.
    name: COMMIT_TIMES_KNOWN,
    harm: 'other',
    *check({ events }) {
      const count = events.filter(({ committedAt }) => committedAt === null).length
      if (count > 0) yield `of ${count} events PostgreSQL no longer knows it, or never did`
    },
  },
  {
    name: 'everything drains',
    harm: 'other',
    *check({ backlog: { queues, ...rows } }) {
      for (const [name, count] of Object.entries({ ...rows, ...queues }))
        if (count > 0) yield `${count} left in ${name}`
    },
  },
  {
    name: 'a dead letter is about a parked payment, or about one that only a lost primary knew',
    harm: 'other',
    *check({ letters, byId, sightingsOf, failovers }) {
      for (const { key, topic, source, reason } of letters) {
        const payment = byId.get(key)
        const isLost = reason === 'no such payment' && areLastWords(sightingsOf.get(key) ?? [], failovers)
        if (payment ? !payment.parked : !isLost) yield [key, `${source}, ${topic}: ${reason}`]
      }
    },
  },
  {
    name: 'no service ends by itself, and each ends when it is asked to',
    harm: 'other',
    *check({ exits }) {
      yield* exits
    },
  },
  {
    name: 'each instance does its part when all is over',
    harm: 'other',
    *check({ idle }) {
      yield* idle
    },
  },
  {
    // What came after it does not count: nobody knows what the system stood on.
    name: 'every fault is undone',
    harm: 'other',
    *check({ faultsLeft }) {
      yield* faultsLeft
    },
  },
]

import { type Answer, idOf } from '../clients.ts'
import type { Rule } from '../invariants.ts'
import { areLastWords } from './last-words.ts'

const DOCUMENTED: readonly Answer['status'][] = [201, 409, 503, 'none']

/** About what everybody sees of the services, and what they leave behind. */
export const SERVICE_RULES: readonly Rule[] = [
  {
    name: 'a GET finds what was answered, and never an older state',
    harm: 'lost',
    *check({ wishes }) {
      for (const wish of wishes) {
        let ended: string | undefined
        for (const { status, at } of wish.views) {
          const isOlder = ended !== undefined && status !== ended
          if (status === 'missing' || isOlder)
            yield [idOf(wish) ?? '', `${status} ${ended ? `after ${ended} ` : ''}at ${new Date(at).toISOString()}`]
          if (status === 'SUCCESS' || status === 'FAILED') ended ??= status
        }
      }
    },
  },
  {
    name: 'every answer is a documented one',
    harm: 'other',
    *check({ wishes }) {
      for (const { reference, answers } of wishes)
        for (const { status } of answers)
          if (!DOCUMENTED.includes(status)) yield `${reference} was answered with ${status}`
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
    name: 'no service ends by itself',
    harm: 'other',
    *check({ exits }) {
      yield* exits
    },
  },
]

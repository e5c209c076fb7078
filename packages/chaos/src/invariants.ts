import { type Answer, idOf, type Wish } from './clients.ts'
import type { EventRow, Facts, PaymentRow } from './facts.ts'
import type { Sighting, Unobserved } from './observer.ts'
import type { Charge } from './provider.ts'

/** `lost` and `doubled` are what no payment may ever be; `other` are the rest of our promises. */
export type Harm = 'lost' | 'doubled' | 'other'

export interface Violation {
  readonly rule: string
  readonly harm: Harm
  readonly what: string
  /** Of the payment concerned, where it is one. */
  readonly paymentId?: string
}

type Rule = {
  readonly name: string
  readonly harm: Harm
  check(view: View): Generator<string | [paymentId: string, what: string]>
}

/** The facts, by payment. */
interface View extends Facts {
  readonly byId: ReadonlyMap<string, PaymentRow>
  readonly wishOf: ReadonlyMap<string, Wish>
  readonly byReference: ReadonlyMap<string, readonly PaymentRow[]>
  readonly eventsOf: ReadonlyMap<string, readonly EventRow[]>
  readonly chargesOf: ReadonlyMap<string, readonly Charge[]>
  readonly sightingsOf: ReadonlyMap<string, readonly Sighting[]>
}

const END_OF = { SUCCESS: 'payment.succeeded', FAILED: 'payment.failed' } as const
const VERDICT_OF = { SUCCESS: 'approved', FAILED: 'declined' } as const
const ATTEMPTS_MAX = 10

const RULES: readonly Rule[] = [
  {
    name: 'a payment that was answered with its id is stored',
    harm: 'lost',
    *check({ wishes, byId }) {
      for (const wish of wishes) {
        const id = idOf(wish)
        if (id !== undefined && byId.get(id)?.reference !== wish.reference)
          yield [id, `${wish.reference} was answered with ${wish.answers.map(({ status }) => status).join(', ')}`]
      }
    },
  },
  {
    name: 'a payment is what somebody asked for',
    harm: 'other',
    *check({ payments, wishOf }) {
      for (const { id, reference, amountMinor, currency } of payments) {
        const wish = wishOf.get(reference)
        if (wish?.amountMinor !== amountMinor || wish.currency !== currency)
          yield [id, `${wish?.amountMinor} ${wish?.currency} was asked for, ${amountMinor} ${currency} is stored`]
      }
    },
  },
  {
    name: 'a reference has one payment, and one id in all answers',
    harm: 'doubled',
    *check({ wishes, byReference }) {
      for (const [reference, rows] of byReference)
        for (const { id } of rows.slice(1)) yield [id, `reference ${reference} has ${rows.length} payments`]
      for (const wish of wishes) {
        const ids = new Set(wish.answers.flatMap(({ paymentId }) => paymentId ?? []))
        if (ids.size > 1) yield `${wish.reference} was answered with the ids ${[...ids].join(', ')}`
      }
    },
  },
  {
    name: 'a payment ends, or is parked with a dead letter that says why',
    harm: 'lost',
    *check({ payments, letters }) {
      const parkedLetters = new Set(letters.filter(({ source }) => source === 'worker').map(({ key }) => key))
      for (const { id, status, parked, attempts } of payments) {
        if (status !== 'PENDING') continue
        if (!parked) yield [id, `is still PENDING after ${attempts} attempts`]
        else if (attempts < ATTEMPTS_MAX || !parkedLetters.has(id))
          yield [id, `is parked after ${attempts} attempts, unexplained`]
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
    name: 'first deliveries of a payment are in the order of its events',
    harm: 'other',
    *check({ sightingsOf, eventsOf, unobserved }) {
      for (const [id, sightings] of sightingsOf) {
        const createdAt = eventsOf.get(id)?.[0]?.committedAt ?? null
        // The first one that was seen may not have been the first.
        if (unobserved.some((time) => coincide(time, id, createdAt))) continue
        const created = sightings.find(({ topic }) => topic === 'payment.created')
        const end = sightings.find(({ topic }) => topic === 'payment.succeeded' || topic === 'payment.failed')
        if (created && end && end.place < created.place) yield [id, `${end.topic} came before payment.created`]
      }
    },
  },
  {
    name: 'an outcome is published once, under one message id',
    harm: 'doubled',
    *check({ sightingsOf }) {
      for (const [id, sightings] of sightingsOf) {
        const ends = sightings.filter(({ topic }) => topic === 'payment.succeeded' || topic === 'payment.failed')
        if (ends.length > 1) yield [id, `${ends.length} outcomes: ${ends.map(({ topic }) => topic).join(', ')}`]
      }
    },
  },
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
  {
    name: 'a GET finds what was answered, and never an older state',
    harm: 'lost',
    *check({ wishes }) {
      for (const wish of wishes) {
        let ended: string | undefined
        for (const { status, at } of wish.views) {
          const isOlder = ended !== undefined && status !== ended
          if (status === 'missing' || isOlder)
            yield [idOf(wish) ?? '', `${status} ${ended ? `after ${ended} ` : ''}at ${iso(at)}`]
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
    *check({ letters, byId }) {
      for (const { key, topic, source, reason } of letters) {
        const payment = byId.get(key)
        if (payment ? !payment.parked : reason !== 'no such payment') yield [key, `${source}, ${topic}: ${reason}`]
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

const DOCUMENTED: readonly Answer['status'][] = [201, 409, 503, 'none']

/** What a run has broken of our promises; nothing, if all is well. */
export function checkInvariants(facts: Facts): Violation[] {
  const view: View = {
    ...facts,
    byId: new Map(facts.payments.map((payment) => [payment.id, payment])),
    wishOf: new Map(facts.wishes.map((wish) => [wish.reference, wish])),
    byReference: Map.groupBy(facts.payments, ({ reference }) => reference),
    eventsOf: Map.groupBy(facts.events, ({ paymentId }) => paymentId),
    chargesOf: Map.groupBy(facts.charges, ({ key }) => key),
    sightingsOf: Map.groupBy(facts.sightings, ({ paymentId }) => paymentId),
  }
  return RULES.flatMap(({ name: rule, harm, check }) =>
    [...check(view)].map((found) => {
      if (typeof found === 'string') return { rule, harm, what: found }
      const [paymentId, what] = found
      return { rule, harm, paymentId, what }
    }),
  )
}

/** Whether an event's message may have been published in that time. */
function coincide({ from, to, waiting }: Unobserved, paymentId: string, committedAt: number | null): boolean {
  return waiting.has(paymentId) || committedAt === null || (committedAt >= from && committedAt <= to)
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

import { isDeepStrictEqual } from 'node:util'
import type { DeliveryRow, EventRow } from '../facts.ts'
import { objectIn } from '../payment-api.ts'
import type { WebhookRequest } from '../receiver.ts'
import { OVERLAP_S, type WebhookEndpoint } from '../webhook-endpoints.ts'
import { eventIdOf, type IndexedFacts, type Rule } from './rule.ts'

/** Longest time from the claim of a delivery to its request: the lease, also in a process that was frozen. In milliseconds. */
const CLAIMED_MS = 30_000

/** Rules about webhooks, as their receivers saw them. */
export const WEBHOOK_RULES: readonly Rule[] = [
  {
    name: 'each event has a delivery to each endpoint of its merchant that wants it',
    harm: 'other',
    *check(facts) {
      for (const endpoint of keptEndpoints(facts))
        for (const event of wantedBy(endpoint, facts))
          if (!deliveryTo(endpoint, event, facts))
            yield [event.paymentId, `${eventIdOf(event)} has none to ${endpoint.id}`]
    },
  },
  {
    name: 'each delivery was accepted by its endpoint at least once',
    harm: 'other',
    *check(facts) {
      for (const endpoint of keptEndpoints(facts)) {
        const accepted = new Set(endpoint.requests.filter(isAccepted).map(idOf))
        for (const event of wantedBy(endpoint, facts)) {
          const status = deliveryTo(endpoint, event, facts)?.status
          if (status && !accepted.has(eventIdOf(event)))
            yield [event.paymentId, `${endpoint.id} never accepted ${eventIdOf(event)}, which is ${status}`]
        }
      }
    },
  },
  {
    // A late request about the first event is allowed: a process that dies, or whose lease ends, cannot know that it was
    // accepted, so the event is sent again. What was missed is replayed, when later events may be delivered already. A payment
    // with `webhook_reorder` asks for another order.
    name: 'with ordering "payment" no event is sent before the one before it was accepted',
    harm: 'other',
    *check(facts) {
      for (const endpoint of facts.endpoints) {
        if (endpoint.ordering !== 'payment') continue
        const requestsOf = Map.groupBy(endpoint.requests, idOf)
        const ofPayment = Map.groupBy(wantedBy(endpoint, facts), ({ paymentId }) => paymentId)
        for (const [paymentId, events] of ofPayment) {
          if (simulated(paymentId, facts) === 'webhook_reorder') continue
          for (const [index, event] of events.entries()) {
            const before = events[index - 1]
            const first = requestsOf.get(eventIdOf(event))?.[0]
            if (!before || !first || mayBeOvertaken(endpoint, before, facts)) continue
            const acceptedAt = requestsOf.get(eventIdOf(before))?.find(isAccepted)?.acceptedAt
            if (acceptedAt === undefined || first.at < acceptedAt)
              yield [
                paymentId,
                `${endpoint.id} got ${eventIdOf(event)} at ${timeOf(first.at)}, before ${eventIdOf(before)}`,
              ]
          }
        }
      }
    },
  },
  {
    name: 'each delivery of a payment with webhook_duplicate was accepted twice',
    harm: 'other',
    *check(facts) {
      for (const endpoint of keptEndpoints(facts)) {
        const accepted = Map.groupBy(endpoint.requests.filter(isAccepted), idOf)
        for (const event of wantedBy(endpoint, facts)) {
          const delivery = deliveryTo(endpoint, event, facts)
          if (simulated(event.paymentId, facts) !== 'webhook_duplicate' || delivery?.status !== 'succeeded') continue
          const times = accepted.get(eventIdOf(event))?.length ?? 0
          // What is replayed is sent once.
          if (!delivery.isReplay && times < 2)
            yield [event.paymentId, `${endpoint.id} accepted ${eventIdOf(event)} ${times} times`]
        }
      }
    },
  },
  {
    name: 'each webhook is signed with the present secret of its endpoint, or with the former one while both sign',
    harm: 'other',
    *check({ endpoints }) {
      for (const { id, requests, secrets } of endpoints)
        for (const request of requests) {
          const required = secrets.findLastIndex(({ since }) => since + OVERLAP_S * 1_000 + CLAIMED_MS < request.at)
          if (!request.signedBy.some((place) => place >= required))
            yield `${idOf(request)} at ${id} is signed with [${request.signedBy.join()}] of ${secrets.length} secrets`
        }
    },
  },
  {
    name: 'all requests about an event have its id and the same body',
    harm: 'other',
    *check({ endpoints }) {
      const bodies = new Map<string, string>()
      for (const { id, requests } of endpoints)
        for (const { headers, body } of requests) {
          const { data = {} } = objectIn(body) as { data?: { id?: string; sequence?: number } }
          const eventId = eventIdOf({ paymentId: String(data.id), sequence: Number(data.sequence) })
          if (headers['webhook-id'] !== eventId) yield `${eventId} came to ${id} as ${headers['webhook-id']}`
          const first = bodies.get(eventId) ?? body
          bodies.set(eventId, first)
          if (first !== body) yield `${eventId} came to ${id} with another body: ${body}`
        }
    },
  },
  {
    name: 'a webhook has the payment as the feed shows it',
    harm: 'other',
    *check({ endpoints, shownEvents }) {
      for (const { id, requests } of endpoints)
        for (const request of uniqueBodies(requests)) {
          const event = shownEvents.get(idOf(request))
          if (event && !isDeepStrictEqual(objectIn(request.body), bodyOf(event)))
            yield `${idOf(request)} came to ${id} as ${request.body}, the feed has ${JSON.stringify(event)}`
        }
    },
  },
  {
    name: 'an endpoint gets events of its merchant and its types only, and none after its deletion',
    harm: 'other',
    *check({ endpoints, storedEvents, shownEvents, failovers }) {
      for (const { id, merchantId, types, deletedAt = Number.POSITIVE_INFINITY, requests } of endpoints)
        for (const request of requests) {
          const { at } = request
          const owner = storedEvents.get(idOf(request))
          // It may have been sent before the primary that had it was lost.
          const isLost = owner === undefined && failovers.some(({ from, to }) => at >= from && at <= to)
          if (owner !== merchantId && !isLost)
            yield `${idOf(request)} of ${owner ? `merchant ${owner}` : 'no payment'} came to ${id} of ${merchantId}`
          const type = shownEvents.get(idOf(request))?.type
          if (types && type !== undefined && !types.includes(String(type))) yield `${id} got a ${type}`
          if (at > deletedAt + CLAIMED_MS) yield `${id} got ${idOf(request)} at ${timeOf(at)}, after its deletion`
        }
    },
  },
]

const isAccepted = ({ acceptedAt }: WebhookRequest) => acceptedAt !== undefined
const idOf = ({ headers }: WebhookRequest) => String(headers['webhook-id'])
const timeOf = (at: number) => new Date(at).toISOString()

const simulated = (paymentId: string, { byId }: IndexedFacts) => byId.get(paymentId)?.metadata?.simulate

const keptEndpoints = ({ endpoints }: IndexedFacts) => endpoints.filter(({ deletedAt }) => deletedAt === undefined)

/** The stored events that an endpoint has to get, in the order of each payment. */
function wantedBy({ merchantId, types }: WebhookEndpoint, { events, byId }: IndexedFacts): EventRow[] {
  return events.filter(
    ({ paymentId, type }) => byId.get(paymentId)?.merchantId === merchantId && (types === null || types.includes(type)),
  )
}

function deliveryTo({ id }: WebhookEndpoint, event: EventRow, { deliveryOf }: IndexedFacts): DeliveryRow | undefined {
  return deliveryOf.get(`${id} ${eventIdOf(event)}`)
}

function mayBeOvertaken(endpoint: WebhookEndpoint, event: EventRow, facts: IndexedFacts): boolean {
  const delivery = deliveryTo(endpoint, event, facts)
  // An event from before the endpoint has no delivery. One that should have one breaks another rule.
  return delivery === undefined || delivery.isReplay || delivery.status === 'expired'
}

function uniqueBodies(requests: readonly WebhookRequest[]): WebhookRequest[] {
  return [...new Map(requests.map((request) => [request.body, request])).values()]
}

/** The body of Standard Webhooks 1.0.0 for an event of the feed. */
function bodyOf(event: Readonly<Record<string, unknown>>): object {
  const { type, created_at: timestamp, payment, sequence, previous_event_id, request_id, failure_code } = event
  const added = { sequence, previous_event_id, request_id, api_version: 'v1' }
  return { type, timestamp, data: { ...Object(payment), ...(failure_code !== null && { failure_code }), ...added } }
}

import type { EventRow, Facts } from '../facts.ts'

/** `lost` and `doubled`: a payment was lost or doubled. `other`: another promise is broken. */
export type Harm = 'lost' | 'doubled' | 'other'

export interface Rule {
  readonly name: string
  readonly harm: Harm
  check(facts: IndexedFacts): Iterable<string | [paymentId: string, what: string]>
}

export type IndexedFacts = ReturnType<typeof indexFacts>

export function indexFacts(facts: Facts) {
  const byId = new Map(facts.payments.map((payment) => [payment.id, payment]))
  return {
    ...facts,
    byId,
    /** The merchant of each event, by the event's public id. */
    storedEvents: new Map(facts.events.map((event) => [eventIdOf(event), byId.get(event.paymentId)?.merchantId])),
    paymentRequestOf: new Map(facts.paymentRequests.map((request) => [referenceOf(request), request])),
    byReference: Map.groupBy(facts.payments, referenceOf),
    eventsOf: Map.groupBy(facts.events, ({ paymentId }) => paymentId),
    requestsOf: Map.groupBy(facts.requests, ({ key }) => key),
    chargesOf: Map.groupBy(facts.charges, ({ key }) => key),
    deliveryOf: new Map(facts.deliveries.map((row) => [`${row.endpointId} ${eventIdOf(row)}`, row])),
    sightingsOf: Map.groupBy(facts.sightings, ({ paymentId }) => paymentId),
  }
}

/** A reference with its merchant, as it is unique. */
export function referenceOf({ merchantId, reference }: { merchantId: string; reference: string }): string {
  return `${reference} of merchant ${merchantId}`
}

/** The id under which clients know an event. */
export function eventIdOf({ paymentId, sequence }: Pick<EventRow, 'paymentId' | 'sequence'>): string {
  return `evt_${paymentId}_${sequence}`
}

/** The merchants with stored payments. */
export function merchantIdsOf({ payments }: Pick<Facts, 'payments'>): string[] {
  return [...new Set(payments.map(({ merchantId }) => merchantId))]
}

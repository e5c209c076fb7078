import type { Facts } from '../facts.ts'

/** `lost` and `doubled`: a payment was lost or doubled. `other`: another promise is broken. */
export type Harm = 'lost' | 'doubled' | 'other'

export interface Rule {
  readonly name: string
  readonly harm: Harm
  check(facts: IndexedFacts): Iterable<string | [paymentId: string, what: string]>
}

export type IndexedFacts = ReturnType<typeof indexFacts>

export function indexFacts(facts: Facts) {
  return {
    ...facts,
    byId: new Map(facts.payments.map((payment) => [payment.id, payment])),
    paymentRequestOf: new Map(facts.paymentRequests.map((request) => [referenceOf(request), request])),
    byReference: Map.groupBy(facts.payments, referenceOf),
    eventsOf: Map.groupBy(facts.events, ({ paymentId }) => paymentId),
    requestsOf: Map.groupBy(facts.requests, ({ key }) => key),
    chargesOf: Map.groupBy(facts.charges, ({ key }) => key),
    sightingsOf: Map.groupBy(facts.sightings, ({ paymentId }) => paymentId),
  }
}

/** A reference with its merchant, as it is unique. */
export function referenceOf({ merchantId, reference }: { merchantId: string; reference: string }): string {
  return `${reference} of merchant ${merchantId}`
}

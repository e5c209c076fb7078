import type { EventRow, Facts, PaymentRow } from '../facts.ts'
import type { Sighting } from '../observer.ts'
import type { PaymentRequest } from '../payment-request.ts'
import type { Charge, ProviderRequest } from '../provider.ts'

/** `lost` and `doubled`: a payment was lost or doubled. `other`: another promise is broken. */
export type Harm = 'lost' | 'doubled' | 'other'

export interface Rule {
  readonly name: string
  readonly harm: Harm
  check(view: IndexedFacts): Generator<string | [paymentId: string, what: string]>
}

/** The facts, with indexes by payment. */
export interface IndexedFacts extends Facts {
  readonly byId: ReadonlyMap<string, PaymentRow>
  readonly paymentRequestOf: ReadonlyMap<string, PaymentRequest>
  readonly byReference: ReadonlyMap<string, readonly PaymentRow[]>
  readonly eventsOf: ReadonlyMap<string, readonly EventRow[]>
  readonly requestsOf: ReadonlyMap<string, readonly ProviderRequest[]>
  readonly chargesOf: ReadonlyMap<string, readonly Charge[]>
  readonly sightingsOf: ReadonlyMap<string, readonly Sighting[]>
}

import type { EventRow, Facts, PaymentRow } from './facts.ts'
import type { Sighting } from './observer.ts'
import type { Charge, ProviderRequest } from './provider.ts'
import { CLIENT_RULES } from './rules/clients.ts'
import { MESSAGE_RULES } from './rules/messages.ts'
import { PAYMENT_RULES } from './rules/payments.ts'
import { PROVIDER_RULES } from './rules/provider.ts'
import { SERVICE_RULES } from './rules/services.ts'
import type { Wish } from './wish.ts'

/** `lost` and `doubled` are what no payment may ever be; `other` are the rest of our promises. */
export type Harm = 'lost' | 'doubled' | 'other'

export interface Violation {
  readonly rule: string
  readonly harm: Harm
  readonly what: string
  /** Of the payment concerned, where it is one. */
  readonly paymentId?: string
}

export interface Rule {
  readonly name: string
  readonly harm: Harm
  check(view: View): Generator<string | [paymentId: string, what: string]>
}

/** The facts, by payment. */
export interface View extends Facts {
  readonly byId: ReadonlyMap<string, PaymentRow>
  readonly wishOf: ReadonlyMap<string, Wish>
  readonly byReference: ReadonlyMap<string, readonly PaymentRow[]>
  readonly eventsOf: ReadonlyMap<string, readonly EventRow[]>
  readonly requestsOf: ReadonlyMap<string, readonly ProviderRequest[]>
  readonly chargesOf: ReadonlyMap<string, readonly Charge[]>
  readonly sightingsOf: ReadonlyMap<string, readonly Sighting[]>
}

const RULES = [PAYMENT_RULES, MESSAGE_RULES, PROVIDER_RULES, CLIENT_RULES, SERVICE_RULES].flat()

/** What a run has broken of our promises; nothing, if all is well. */
export function checkInvariants(facts: Facts): Violation[] {
  const view: View = {
    ...facts,
    byId: new Map(facts.payments.map((payment) => [payment.id, payment])),
    wishOf: new Map(facts.wishes.map((wish) => [wish.reference, wish])),
    byReference: Map.groupBy(facts.payments, ({ reference }) => reference),
    eventsOf: Map.groupBy(facts.events, ({ paymentId }) => paymentId),
    requestsOf: Map.groupBy(facts.requests, ({ key }) => key),
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

import type { Facts } from './facts.ts'
import { CLIENT_RULES } from './rules/clients.ts'
import { MESSAGE_RULES } from './rules/messages.ts'
import { PAYMENT_RULES } from './rules/payments.ts'
import { PROVIDER_RULES } from './rules/provider.ts'
import type { Harm, IndexedFacts } from './rules/rule.ts'
import { SERVICE_RULES } from './rules/services.ts'

export interface Violation {
  readonly rule: string
  readonly harm: Harm
  readonly what: string
  /** The payment concerned, when the violation is about one. */
  readonly paymentId?: string
}

const RULES = [PAYMENT_RULES, MESSAGE_RULES, PROVIDER_RULES, CLIENT_RULES, SERVICE_RULES].flat()

/** Checks the facts of a run against each rule. Returns an empty list when no rule is broken. */
export function checkInvariants(facts: Facts): Violation[] {
  const indexed: IndexedFacts = {
    ...facts,
    byId: new Map(facts.payments.map((payment) => [payment.id, payment])),
    paymentRequestOf: new Map(facts.paymentRequests.map((request) => [request.reference, request])),
    byReference: Map.groupBy(facts.payments, ({ reference }) => reference),
    eventsOf: Map.groupBy(facts.events, ({ paymentId }) => paymentId),
    requestsOf: Map.groupBy(facts.requests, ({ key }) => key),
    chargesOf: Map.groupBy(facts.charges, ({ key }) => key),
    sightingsOf: Map.groupBy(facts.sightings, ({ paymentId }) => paymentId),
  }
  return RULES.flatMap(({ name: rule, harm, check }) =>
    [...check(indexed)].map((found) => {
      if (typeof found === 'string') return { rule, harm, what: found }
      const [paymentId, what] = found
      return { rule, harm, paymentId, what }
    }),
  )
}

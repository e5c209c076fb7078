import type { Facts } from './facts.ts'
import { CANCEL_RULES } from './rules/cancels.ts'
import { CLIENT_RULES } from './rules/clients.ts'
import { EVENT_RULES } from './rules/events.ts'
import { IDEMPOTENCY_RULES } from './rules/idempotency.ts'
import { LIST_RULES } from './rules/lists.ts'
import { MERCHANT_RULES } from './rules/merchants.ts'
import { MESSAGE_RULES } from './rules/messages.ts'
import { PAYMENT_RULES } from './rules/payments.ts'
import { PROVIDER_RULES } from './rules/provider.ts'
import { type Harm, indexFacts } from './rules/rule.ts'
import { SERVICE_RULES } from './rules/services.ts'
import { WEBHOOK_RULES } from './rules/webhooks.ts'

export interface Violation {
  readonly rule: string
  readonly harm: Harm
  readonly what: string
  /** The payment concerned, when the violation is about one. */
  readonly paymentId?: string
}

const RULES = [
  PAYMENT_RULES,
  IDEMPOTENCY_RULES,
  MERCHANT_RULES,
  MESSAGE_RULES,
  PROVIDER_RULES,
  CANCEL_RULES,
  CLIENT_RULES,
  LIST_RULES,
  EVENT_RULES,
  WEBHOOK_RULES,
  SERVICE_RULES,
].flat()

/** Checks the facts of a run against each rule. Returns an empty list when no rule is broken. */
export function checkInvariants(facts: Facts): Violation[] {
  const indexed = indexFacts(facts)
  return RULES.flatMap(({ name: rule, harm, check }) =>
    [...check(indexed)].map((found) => {
      if (typeof found === 'string') return { rule, harm, what: found }
      const [paymentId, what] = found
      return { rule, harm, paymentId, what }
    }),
  )
}

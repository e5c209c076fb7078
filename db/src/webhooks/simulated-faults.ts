import { OUTCOME_TOPICS, type Simulation } from '@cashflow/domain'
import type { DeliveryFault } from './tables.ts'

/** Time from the fan-out to the first attempt, in seconds. */
const LATE_S = 30
/** The longest time for which an event waits for the payment's outcome: that may never come. In seconds. */
const HELD_MAX_S = 3_600

/** What is special about a new delivery. */
interface SimulatedFault {
  readonly fault: DeliveryFault
  /** Time until the first attempt, in seconds. */
  readonly delay_s?: number
  /** 0: as if it had been tried early already, so that no recovery of its endpoint tries it before it is due. */
  readonly early_after?: 0
}

/**
 * How the deliveries of a payment in a sandbox are disturbed.
 *
 * @param simulate the payment's `metadata.simulate`
 * @param types those that the endpoint wants; null for all
 * @returns undefined for a delivery like any other
 */
export function faultOf(
  simulate: string | null,
  { type, types }: { type: string; types: readonly string[] | null },
): SimulatedFault | undefined {
  switch (simulate as Simulation | null) {
    case 'webhook_duplicate':
      return { fault: 'duplicate' }
    case 'webhook_late':
      return { fault: 'late', delay_s: LATE_S, early_after: 0 }
    case 'webhook_reorder':
      if (isOutcome(type)) return { fault: 'unordered' }
      // Held deliveries pile up, and each recovery of the endpoint reads them. So only what each outcome releases is held.
      if (type !== 'payment.created' || !wantsEveryOutcome(types)) return undefined
      return { fault: 'held', delay_s: HELD_MAX_S, early_after: 0 }
    default:
      return undefined
  }
}

const isOutcome = (type: string) => OUTCOME_TOPICS.some((topic) => topic === type)
const wantsEveryOutcome = (types: readonly string[] | null) =>
  types === null || OUTCOME_TOPICS.every((topic) => types.includes(topic))

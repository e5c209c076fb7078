import type { PaymentAnswer } from '../../answers.ts'

export interface HeldRows {
  /** The rows in their places, each as new as the answer has it. */
  readonly rows: readonly PaymentAnswer[]
  /** Payments of the answer that are not among the rows. */
  readonly fresh: number
}

/** Rows that stay where they are while the operator points at them. */
export function heldRows(shown: readonly PaymentAnswer[], latest: readonly PaymentAnswer[]): HeldRows {
  const byId = new Map(latest.map((payment) => [payment.id, payment]))
  const ids = new Set(shown.map(({ id }) => id))
  return {
    rows: shown.map((payment) => byId.get(payment.id) ?? payment),
    fresh: latest.filter(({ id }) => !ids.has(id)).length,
  }
}

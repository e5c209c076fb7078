import type { PaymentStatus } from '@cashflow/domain'

/** Those that the page filters by. */
export const STATUSES = ['PENDING', 'SUCCESS', 'FAILED'] as const satisfies readonly PaymentStatus[]
export const WAITING_FOR = ['queue', 'provider', 'worker', 'retry', 'pending', 'operator'] as const
export type WaitingFor = (typeof WAITING_FOR)[number]

export interface PaymentAnswer {
  readonly id: string
  readonly merchant_id: string
  readonly merchant: string | null
  readonly reference: string
  readonly amount: string
  readonly currency: string
  /** Null for a payment that was pruned. */
  readonly status: PaymentStatus | null
  readonly failure_code: string | null
  readonly waiting_for: WaitingFor | null
  readonly next_action_at: string | null
  readonly created_at: string | null
  readonly settled_at: string | null
}

/**
 * `GET /api/payments?status=&waiting_for=&merchant=&after=&q=`: 50 payments at most. `q` is an id, a reference or an idempotency
 * key. The event `payments` of `GET /api/live?payments` has the unfiltered first page, once a second.
 */
export interface PaymentsAnswer {
  readonly payments: readonly PaymentAnswer[]
  /** The value of `after` for the next page. Null on the last page. */
  readonly next: string | null
  /** What the operator has to know about the list, such as that only 10,000 payments were looked at. */
  readonly notes: readonly string[]
}

export interface TimelineAnswer {
  readonly at: string
  /** Time since the entry before, in milliseconds. */
  readonly after_ms: number | null
  readonly what: string
  readonly by: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** `GET /api/payments/:id` */
export interface PaymentPageAnswer {
  readonly payment: PaymentAnswer & {
    readonly metadata: Readonly<Record<string, string>> | null
    readonly idempotency_key: string | null
  }
  readonly attempts: number
  readonly refusals: number
  readonly redrives: number
  readonly timeline: readonly TimelineAnswer[]
  /** What it waits for now, in sentences. Empty if it is settled. */
  readonly waits: readonly string[]
  readonly not_recorded: readonly string[]
  /** What `cashflow verify` finds wrong with it. */
  readonly findings: readonly string[]
  /** The unresolved dead letter of the payment, for requeue and discard. */
  readonly dead_letter: string | null
  readonly can: { readonly settle: boolean; readonly redrive: boolean }
  readonly now: string
}

/** The body of `POST /api/payments/:id/settle`. Answers `{}`, or 409 with why it was refused. */
export interface SettleBody {
  readonly outcome: 'success' | 'failed'
  readonly failure_code?: string | undefined
  readonly reason: string
}

/** The body of `POST /api/payments/:id/redrive`. Answers `{}`, or 409. */
export interface RedriveBody {
  readonly reason: string
}

import type { PaymentStatus, WaitingFor } from './payment.ts'

/** What the API says about an error (RFC 9457). docs/problems.md lists every `code`. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly retryable: boolean
  readonly request_id: string
  readonly errors?: readonly (
    | { readonly pointer: string; readonly detail: string }
    | { readonly parameter: string; readonly detail: string }
  )[]
  readonly payment_id?: string
  readonly mismatch?: readonly ('amount' | 'currency' | 'reference' | 'metadata')[]
  readonly payment_status?: PaymentStatus
  readonly waiting_for?: WaitingFor
  readonly next_action_at?: string
  readonly failing?: readonly 'postgresql'[]
  readonly 'violated-policies'?: readonly ('key' | 'address')[]
}

export interface ErrorFacts {
  readonly code: string
  readonly retryable: boolean
  readonly requestId?: string | undefined
  readonly status?: number | undefined
  readonly retryAfterMs?: number | undefined
  readonly problem?: Problem | undefined
  readonly cause?: unknown
}

/** Every error of a call, except the reason of a `signal` that the caller aborted. */
export abstract class CashflowError extends Error {
  /** A code of docs/problems.md, `no-answer`, `unreadable-answer`, or `http-` and the status of another server's answer. */
  readonly code: string
  /** True if the same call with the same idempotency key may succeed later. */
  readonly retryable: boolean
  /** Finds the request in the operator's logs. */
  readonly requestId: string | undefined
  /** The status of the answer. */
  readonly status: number | undefined
  /** Time after which the server wants the request again, in milliseconds. */
  readonly retryAfterMs: number | undefined
  readonly problem: Problem | undefined
  /**
   * True if an attempt ended without telling whether the API did what it was asked for. So it can be true for an error that
   * is not retryable: the first attempt had no answer, and the second one was refused.
   */
  mayHaveHappened = false
  /** The key that `create` sent. A later `create` with this key cannot make a second payment. */
  idempotencyKey: string | undefined = undefined

  constructor(message: string, facts: ErrorFacts) {
    super(message, { cause: facts.cause })
    this.code = facts.code
    this.retryable = facts.retryable
    this.requestId = facts.requestId
    this.status = facts.status
    this.retryAfterMs = facts.retryAfterMs
    this.problem = facts.problem
  }
}

/** The API, or a proxy in front of it, answered with an error. */
export class ApiError extends CashflowError {
  override name = 'ApiError'
}

/** No answer, or not all of it, or one that cannot be read. `cause` has the error of `fetch`. */
export class NoAnswerError extends CashflowError {
  override name = 'NoAnswerError'
}

/** `none`: no answer came, or it came too late. */
export type Answer = {
  readonly at: number
  readonly status: number | 'none'
  readonly paymentId?: string
  /** True for an answer with `Idempotent-Replayed: true`. `@cashflow/client` does not tell. */
  readonly isReplay?: boolean | 'unknown'
  /** The body of a 201, as text. */
  readonly body?: string
}

/** Values of `metadata.simulate` that disturb the webhooks of a payment. */
export const WEBHOOK_SIMULATIONS = ['webhook_duplicate', 'webhook_late', 'webhook_reorder'] as const

/** One payment as its client knows it. */
export interface PaymentRequest {
  readonly merchantId: string
  /** Unique for its merchant. The other merchant has a payment with the same reference. */
  readonly reference: string
  readonly amountMinor: number
  readonly currency: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Sent with each POST. The other merchant has a payment with the same key. */
  readonly idempotencyKey?: string
  /** The answer to each POST, in order. `at` is in milliseconds since 1970. */
  readonly answers: Answer[]
  /**
   * The answer to each GET, and what lists and a successful cancel showed. An answer that is missing, or a 503, is recorded
   * only if it is a final one. A list without the payment is recorded as 404.
   */
  readonly views: View[]
  /** The same for each GET with the other merchant's key. */
  readonly foreignViews: View[]
  /** The answer to each request to cancel it. `at` is in milliseconds since 1970. */
  readonly cancels: Answer[]
  /** The events of the payment, each time that its client asked for them. */
  readonly histories: History[]
}

export interface History {
  /** When the GET was sent, in milliseconds since 1970. */
  readonly at: number
  readonly status: Answer['status']
  /** The ids of the events. */
  readonly ids: readonly string[]
}

export interface View {
  /** When the GET was sent, in milliseconds since 1970. */
  readonly at: number
  readonly answeredAt: number
  readonly status: Answer['status']
  /** The body of a 200. */
  readonly payment?: ShownPayment
  /** True for a GET that was sent after the system had settled. */
  readonly isFinal: boolean
}

/** The members of a GET's answer, of any type. `@cashflow/client` shows the amount as text. */
export type ShownPayment = Readonly<Record<'id' | 'status' | 'amount' | 'currency' | 'reference', unknown>> & {
  readonly metadata?: unknown
  readonly failure_code?: unknown
}

/** The id that the API answered with. Undefined when no answer had one. */
export function idOf(request: PaymentRequest): string | undefined {
  return request.answers.find(({ paymentId }) => paymentId !== undefined)?.paymentId
}

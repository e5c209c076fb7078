/** A fact about a payment, in the past tense. Events are stored forever: a type keeps its meaning, and may only gain data. */
export interface PaymentEvent {
  readonly type: 'payment.created' | 'payment.succeeded' | 'payment.failed'
  readonly paymentId: string
  readonly merchantId: string
  /** The event's place among those of its payment: created is 1, settled is 2. */
  readonly sequence: number
  /** JSON with names in snake_case and amounts as decimal text. It is stored and shown in this form. */
  readonly data: Readonly<Record<string, string>>
  readonly at: Date
}

/** What happened to a payment, in the past tense. Stored for ever, so a type keeps its meaning and only gains data. */
export interface PaymentEvent {
  readonly type: 'payment.created' | 'payment.succeeded' | 'payment.failed'
  readonly paymentId: string
  readonly merchantId: string
  /** Its place among the payment's events: created is 1, settled is 2. */
  readonly sequence: number
  /** JSON as it is stored and shown: names in snake_case, amounts as decimal text. */
  readonly data: Readonly<Record<string, string>>
  readonly at: Date
}

export { CURRENCIES, type Currency } from './currency.ts'
export { readJsonNumber, readPlainNumber } from './decimal.ts'
export { type EventOfPayment, eventId, parseEventId, paymentAsOf } from './event-json.ts'
export type { PaymentEvent } from './events.ts'
export { createdMessage, type NewPaymentMessage, outcomeMessage, retryMessage } from './messages.ts'
export { METADATA_LIMITS, type Metadata, metadataOf, readMetadata } from './metadata.ts'
export { AMOUNT_MINOR_MAX, formatMoney, isKnownCurrency, isSameAmount, type Money, moneyOf } from './money.ts'
export {
  CANCELED,
  type CreatePaymentInput,
  createPayment,
  DEFAULT_MERCHANT_ID,
  EVENT_TYPES,
  type Outcome,
  type Payment,
  type PaymentStatus,
  type PaymentWithMetadata,
  settlePayment,
  statusAfter,
  TRANSITIONS,
  type TransitionResult,
} from './payment.ts'
export { REFERENCE_LENGTH_MAX, readReference } from './reference.ts'
export { DELIVERY_SIMULATIONS, SIMULATIONS, type Simulation } from './simulation.ts'
export { OUTCOME_TOPICS, type Topic, WORK_TOPICS } from './topics.ts'
export { isUuid } from './uuid.ts'

export { CURRENCIES, type Currency } from './currency.ts'
export { readJsonNumber, readPlainNumber } from './decimal.ts'
export type { PaymentEvent } from './events.ts'
export { createdMessage, type NewPaymentMessage, outcomeMessage, retryMessage } from './messages.ts'
export { AMOUNT_MINOR_MAX, formatMoney, isSameAmount, type Money, moneyOf } from './money.ts'
export {
  type CreatePaymentInput,
  createPayment,
  DEFAULT_MERCHANT_ID,
  type Outcome,
  type Payment,
  type PaymentStatus,
  settlePayment,
  TRANSITIONS,
  type TransitionResult,
} from './payment.ts'
export { readReference } from './reference.ts'
export { OUTCOME_TOPICS, type Topic, WORK_TOPICS } from './topics.ts'
export { isUuid } from './uuid.ts'

export { CURRENCIES, type Currency } from './currency.ts'
export { type Decimal, readJsonNumber, readPlainNumber } from './decimal.ts'
export type { PaymentEvent } from './events.ts'
export {
  createdMessage,
  type MessageIds,
  type NewPaymentMessage,
  outcomeMessage,
  retryMessage,
} from './messages.ts'
export { AMOUNT_MINOR_MAX, type AmountCode, formatMoney, isSameAmount, type Money, moneyOf } from './money.ts'
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
export { type ReferenceCode, readReference } from './reference.ts'
export type { Refusal, Result } from './result.ts'
export { OUTCOME_TOPICS, type Topic, WORK_TOPICS } from './topics.ts'
export { isUuid } from './uuid.ts'

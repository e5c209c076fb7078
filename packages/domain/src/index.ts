export { CURRENCIES, type Currency } from './currency.ts'
export { type Decimal, readJsonNumber, readPlainNumber } from './decimal.ts'
export type { PaymentEvent } from './events.ts'
export { AMOUNT_MINOR_MAX, type AmountCode, formatMoney, isSameAmount, type Money, moneyOf } from './money.ts'
export {
  createPayment,
  DEFAULT_MERCHANT_ID,
  type NewPayment,
  type Outcome,
  type Payment,
  type PaymentStatus,
  type Settlement,
  settlePayment,
  TRANSITIONS,
} from './payment.ts'
export { REFERENCE_LENGTH_MAX, type ReferenceCode, readReference } from './reference.ts'
export type { Refusal, Result } from './result.ts'

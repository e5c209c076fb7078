import type { Currency } from './currency.ts'
import type { PaymentEvent } from './events.ts'
import { assertMoney, formatMoney, type Money } from './money.ts'
import { readReference } from './reference.ts'

export type PaymentStatus = 'PENDING' | 'SUCCESS' | 'FAILED'

export interface Payment {
  readonly id: string
  readonly merchantId: string
  /** The merchant's name for the payment, unique per merchant. */
  readonly reference: string
  readonly amountMinor: bigint
  readonly currency: Currency
  readonly status: PaymentStatus
  /** Reason code if the payment FAILED, else null. */
  readonly failureCode: string | null
  readonly createdAt: Date
  /** Time of the transition to SUCCESS or FAILED. */
  readonly settledAt: Date | null
}

/** The provider's decision. A missing answer is no decision. */
export type Outcome = { readonly outcome: 'approved' } | { readonly outcome: 'declined'; readonly failureCode: string }

interface Transition {
  readonly to: PaymentStatus
  readonly event: Exclude<PaymentEvent['type'], 'payment.created'>
}

/** The state machine: the transition of each status for each outcome. A status without transitions is terminal. */
export const TRANSITIONS: Readonly<Record<PaymentStatus, Readonly<Partial<Record<Outcome['outcome'], Transition>>>>> = {
  PENDING: {
    approved: { to: 'SUCCESS', event: 'payment.succeeded' },
    declined: { to: 'FAILED', event: 'payment.failed' },
  },
  SUCCESS: {},
  FAILED: {},
}

/** Merchants have no accounts, so every payment belongs to this one. */
export const DEFAULT_MERCHANT_ID = '00000000-0000-7000-8000-000000000001'

export interface CreatePaymentInput {
  /** A UUIDv7. */
  readonly id: string
  readonly merchantId: string
  readonly reference: string
  readonly money: Money
  readonly at: Date
}

/** @throws RangeError for a reference that `readReference` refuses, or money that `moneyOf` cannot return */
export function createPayment({ id, merchantId, reference, money, at }: CreatePaymentInput): {
  payment: Payment
  event: PaymentEvent
} {
  assertMoney(money)
  if (!readReference(reference).ok) throw new RangeError('Not a reference')
  const payment: Payment = {
    id,
    merchantId,
    reference,
    ...money,
    status: 'PENDING',
    failureCode: null,
    createdAt: at,
    settledAt: null,
  }
  const data = { amount: formatMoney(money), currency: money.currency, reference }
  return { payment, event: { type: 'payment.created', paymentId: id, merchantId, sequence: 1, data, at } }
}

export type TransitionResult =
  | { readonly settled: true; readonly payment: Payment; readonly event: PaymentEvent }
  | { readonly settled: false; readonly code: 'payment_already_settled'; readonly status: PaymentStatus }

/** Settles a PENDING payment. A payment that is settled already stays as it is. */
export function settlePayment(payment: Payment, result: Outcome, at: Date): TransitionResult {
  const transition = TRANSITIONS[payment.status][result.outcome]
  if (!transition) return { settled: false, code: 'payment_already_settled', status: payment.status }
  const failureCode = result.outcome === 'declined' ? result.failureCode : null
  const { id: paymentId, merchantId } = payment
  const data = failureCode === null ? {} : { failure_code: failureCode }
  return {
    settled: true,
    payment: { ...payment, status: transition.to, failureCode, settledAt: at },
    event: { type: transition.event, paymentId, merchantId, sequence: 2, data, at },
  }
}

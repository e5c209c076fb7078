import type { Currency } from './currency.ts'
import type { PaymentEvent } from './events.ts'
import { assertMoney, formatMoney, type Money } from './money.ts'
import { readReference } from './reference.ts'

export type PaymentStatus = 'PENDING' | 'SUCCESS' | 'FAILED'

export interface Payment {
  readonly id: string
  readonly merchantId: string
  /** The merchant's own name for it, unique per merchant. */
  readonly reference: string
  readonly amountMinor: bigint
  readonly currency: Currency
  readonly status: PaymentStatus
  /** Why it FAILED; null otherwise. */
  readonly failureCode: string | null
  readonly createdAt: Date
  /** When it reached SUCCESS or FAILED. */
  readonly settledAt: Date | null
}

/** What the provider decided. An answer that is missing decides nothing. */
export type Outcome = { readonly outcome: 'approved' } | { readonly outcome: 'declined'; readonly failureCode: string }

interface Transition {
  readonly to: PaymentStatus
  readonly event: Exclude<PaymentEvent['type'], 'payment.created'>
}

/** The state machine: what each outcome does to each status. A status without transitions is terminal. */
export const TRANSITIONS: Readonly<Record<PaymentStatus, Readonly<Partial<Record<Outcome['outcome'], Transition>>>>> = {
  PENDING: {
    approved: { to: 'SUCCESS', event: 'payment.succeeded' },
    declined: { to: 'FAILED', event: 'payment.failed' },
  },
  SUCCESS: {},
  FAILED: {},
}

/** Until merchants have accounts, all payments belong to this one. */
export const DEFAULT_MERCHANT_ID = '00000000-0000-7000-8000-000000000001'

export interface CreatePaymentInput {
  /** A UUIDv7. */
  readonly id: string
  readonly merchantId: string
  readonly reference: string
  readonly money: Money
  readonly at: Date
}

/** @throws RangeError for a reference or money that no reader of this package would have accepted */
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

/** Takes a payment to its end, or leaves one that is there already. */
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

import type { Currency } from './currency.ts'
import type { PaymentEvent } from './events.ts'
import { type Metadata, readMetadata } from './metadata.ts'
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

/** A payment with what only its merchant reads. Workers do without. */
export interface PaymentWithMetadata extends Payment {
  /** Null if the merchant gave no pairs. */
  readonly metadata: Metadata | null
}

/** The provider's decision. A missing answer is no decision. */
export type Outcome = { readonly outcome: 'approved' } | { readonly outcome: 'declined'; readonly failureCode: string }

/** The failure code of a payment that its client canceled. No other payment may have it: a repeated cancel answers by it. */
export const CANCELED = 'canceled'

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

const TRANSITIONS_MADE = Object.values(TRANSITIONS).flatMap((outcomes) => Object.values(outcomes))

/** The types of events that a merchant can ask for. Duplicates of a changed collation got another reference from `migrate`. */
export const EVENT_TYPES: readonly string[] = [
  'payment.created',
  ...new Set(TRANSITIONS_MADE.map(({ event }) => event)),
  'payment.reference_changed',
]

/** The status that an event of this type gives a payment. Undefined if it gives none. */
export function statusAfter(type: string): PaymentStatus | undefined {
  if (type === 'payment.created') return 'PENDING'
  return TRANSITIONS_MADE.find(({ event }) => event === type)?.to
}

/** Merchants have no accounts, so every payment belongs to this one. */
export const DEFAULT_MERCHANT_ID = '00000000-0000-7000-8000-000000000001'

export interface CreatePaymentInput {
  /** A UUIDv7. */
  readonly id: string
  readonly merchantId: string
  readonly reference: string
  readonly money: Money
  readonly metadata?: Metadata | null | undefined
  readonly at: Date
}

/** @throws RangeError for what `readReference` or `readMetadata` refuses, or money that `moneyOf` cannot return */
export function createPayment({ id, merchantId, reference, money, metadata = null, at }: CreatePaymentInput): {
  payment: PaymentWithMetadata
  event: PaymentEvent
} {
  assertMoney(money)
  if (!readReference(reference).ok) throw new RangeError('Not a reference')
  if (metadata && !readMetadata(metadata).ok) throw new RangeError('Not metadata')
  const payment: PaymentWithMetadata = {
    id,
    merchantId,
    reference,
    ...money,
    status: 'PENDING',
    failureCode: null,
    createdAt: at,
    settledAt: null,
    metadata,
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

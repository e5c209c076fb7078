/// <reference path="./globals.d.ts" />
import { formatMoney, type Money } from './money.ts'
import { type PaymentStatus, statusAfter } from './payment.ts'

/** An event with its payment as it is now. */
export interface EventOfPayment {
  readonly paymentId: string
  readonly type: string
  readonly createdAt: Date
  /** Null if the payment is gone. */
  readonly payment:
    | (Money & {
        readonly reference: string
        readonly status: PaymentStatus
        readonly createdAt: Date
        readonly settledAt: Date | null
      })
    | null
}

// A sequence is an `int` of PostgreSQL. A payment has a few events.
const EVENT_ID = /^evt_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([1-9][0-9]{0,8})$/

/** The public id of an event. */
export const eventId = (paymentId: string, sequence: number) => `evt_${paymentId}_${sequence}`

/** Reads the public id of an event. Undefined for any text that `eventId` does not return. */
export function parseEventId(text: string): { paymentId: string; sequence: number } | undefined {
  const [, paymentId, digits] = EVENT_ID.exec(text) ?? []
  return paymentId === undefined ? undefined : { paymentId, sequence: Number(digits) }
}

/**
 * The payment with the status that the event gave it, for `JSON.stringify`. Its other members never change, except a
 * duplicate's reference. Null if the payment is gone.
 *
 * @throws RangeError for a currency that this version does not know
 */
export function paymentAsOf({ paymentId, type, payment, createdAt }: EventOfPayment) {
  if (!payment) return null
  const isSettled = payment.settledAt !== null && payment.settledAt <= createdAt
  return {
    id: paymentId,
    amount: JSON.rawJSON(formatMoney(payment)),
    amount_minor: JSON.rawJSON(payment.amountMinor.toString()),
    currency: payment.currency,
    reference: payment.reference,
    status: statusAfter(type) ?? (isSettled ? payment.status : 'PENDING'),
    created_at: payment.createdAt,
  }
}

import type { Currency, PaymentStatus } from '@cashflow/domain'

/** An event as it is stored, with its payment. */
export interface StoredEvent {
  readonly paymentId: string
  readonly sequence: number
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  /** The service, or what the operator used. */
  readonly actor: string
  readonly requestId: string | null
  readonly createdAt: Date
  /** The payment as it is now. Null if its row is gone, which only a change by hand does. */
  readonly payment: PaymentOfEvent | null
}

export interface PaymentOfEvent {
  readonly reference: string
  readonly amountMinor: bigint
  readonly currency: Currency
  readonly status: PaymentStatus
  readonly createdAt: Date
  readonly settledAt: Date | null
}

/** The columns of `payment_events` that make an event. */
export const STORED_COLUMNS = ['payment_id', 'sequence', 'type', 'data', 'actor', 'request_id', 'created_at'] as const

/** The columns of `payments` that an event shows, under names that differ from those of its own columns. */
export const PAYMENT_COLUMNS_OF_EVENT = [
  'p.reference',
  'p.amount_minor',
  'p.currency',
  'p.status',
  'p.created_at as payment_created_at',
  'p.settled_at',
] as const

export interface EventRow {
  payment_id: string
  sequence: number
  type: string
  data: unknown
  actor: string
  request_id: string | null
  created_at: Date
  reference: string | null
  amount_minor: string | null
  currency: string | null
  status: PaymentStatus | null
  payment_created_at: Date | null
  settled_at: Date | null
}

export function toStoredEvent(row: EventRow): StoredEvent {
  return {
    paymentId: row.payment_id,
    sequence: row.sequence,
    type: row.type,
    data: row.data as StoredEvent['data'],
    actor: row.actor,
    requestId: row.request_id,
    createdAt: row.created_at,
    payment: paymentOf(row),
  }
}

function paymentOf(row: EventRow): PaymentOfEvent | null {
  const { reference, amount_minor, currency, status, payment_created_at } = row
  if (reference === null || amount_minor === null || status === null || payment_created_at === null) return null
  return {
    reference,
    amountMinor: BigInt(amount_minor),
    currency: currency as Currency,
    status,
    createdAt: payment_created_at,
    settledAt: row.settled_at,
  }
}

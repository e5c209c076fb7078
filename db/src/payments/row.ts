import type { Currency, Payment } from '@cashflow/domain'
import { type Expression, type Selectable, type SqlBool, sql } from 'kysely'
import type { PaymentsTable } from '../tables.ts'

/** The columns of a payment without its metadata, which is read for its merchant only. */
export const PAYMENT_COLUMNS = [
  'id',
  'merchant_id',
  'reference',
  'amount_minor',
  'currency',
  'status',
  'failure_code',
  'created_at',
  'settled_at',
] as const

export type PaymentRow = Pick<Selectable<PaymentsTable>, (typeof PAYMENT_COLUMNS)[number]>

export function toPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    reference: row.reference,
    amountMinor: BigInt(row.amount_minor),
    currency: row.currency as Currency,
    status: row.status,
    failureCode: row.failure_code,
    createdAt: row.created_at,
    settledAt: row.settled_at,
  }
}

/**
 * True if a payment or an event is a merchant's. `is true` makes it a filter that no index serves, for a row that is found
 * by its payment's id. Otherwise a plan that was made for few rows may read all rows of the merchant by an index that begins
 * with merchant_id, also when they have become many. As `sql`: the builder has no `is true`.
 *
 * @param table the table's name in the statement
 */
export function isOfMerchant(merchantId: Expression<string>, table = 'payments'): Expression<SqlBool> {
  return sql<SqlBool>`(${sql.ref(`${table}.merchant_id`)} = ${merchantId}) is true`
}

/** A time by the database's clock, the only one that leases and redrives are judged by. */
export function fromNow(delayMs: number | Expression<number>) {
  // As `sql`: the builder has no intervals.
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}

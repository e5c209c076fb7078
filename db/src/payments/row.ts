import type { Currency, Payment } from '@cashflow/domain'
import { type Expression, type Kysely, type Selectable, sql } from 'kysely'
import type { PaymentsTable, Tables } from '../tables.ts'

/** The columns that the domain knows. */
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

export async function findPayment(db: Kysely<Tables>, id: string): Promise<Payment | undefined> {
  const row = await db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toPayment(row)
}

/** A time by the database's clock, the only one that leases and redrives are judged by. */
export function fromNow(delayMs: number | Expression<number>) {
  // As `sql`: the builder has no intervals.
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}

import { type Currency, metadataOf, type Payment, type PaymentWithMetadata } from '@cashflow/domain'
import { type Expression, type Kysely, type Selectable, sql } from 'kysely'
import type { PaymentsTable, Tables } from '../tables.ts'

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

/** Finds a payment of a merchant, with its metadata. */
export async function findPayment(
  db: Kysely<Tables>,
  { merchantId, id }: { merchantId: string; id: string },
): Promise<PaymentWithMetadata | undefined> {
  const row = await db.selectFrom(byId(db, id)).selectAll().where('merchant_id', '=', merchantId).executeTakeFirst()
  return row && { ...toPayment(row), metadata: row.metadata && metadataOf(Object.entries(row.metadata)) }
}

/**
 * The payment with an id, whose merchant the caller compares. `limit` is a fence: with both conditions in one place, a plan
 * that was made for few payments may read all payments of the merchant by an index that begins with merchant_id.
 */
function byId(db: Kysely<Tables>, id: string) {
  return db
    .selectFrom('payments')
    .select([...PAYMENT_COLUMNS, 'metadata'])
    .where('id', '=', id)
    .limit(sql.lit(1))
    .as('payment')
}

/** A time by the database's clock, the only one that leases and redrives are judged by. */
export function fromNow(delayMs: number | Expression<number>) {
  // As `sql`: the builder has no intervals.
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}

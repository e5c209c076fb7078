import type { Currency, Payment, PaymentEvent } from '@cashflow/domain'
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import type { PaymentsTable, Tables } from './tables.ts'

export interface InsertOptions {
  requestId: string
  /** When the payment is sent through the pipeline again if it is still PENDING, in milliseconds from now. */
  redriveAfterMs: number
}

/**
 * Stores a new payment and its event, unless its reference is taken.
 *
 * @returns the id of the payment that has the reference: another's id is a duplicate, and one's own with
 * `inserted: false` is the answer to a transaction that had committed before
 */
export async function insertPayment(
  tx: Transaction<Tables>,
  payment: Payment,
  event: PaymentEvent,
  { requestId, redriveAfterMs }: InsertOptions,
): Promise<{ inserted: boolean; paymentId: string }> {
  const inserted = await tx
    .insertInto('payments')
    .values({
      id: payment.id,
      merchant_id: payment.merchantId,
      reference: payment.reference,
      amount_minor: payment.amountMinor.toString(),
      currency: payment.currency,
      status: payment.status,
      created_at: payment.createdAt,
      redrive_at: fromNow(redriveAfterMs),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted) {
    await insertEvent(tx, event, { actor: 'api', requestId })
    return { inserted: true, paymentId: payment.id }
  }
  // A statement of its own, and so with a younger snapshot: the row that was in the way has committed by now.
  const holder = await tx
    .selectFrom('payments')
    .select('id')
    .where('merchant_id', '=', payment.merchantId)
    .where('reference', '=', payment.reference)
    .executeTakeFirstOrThrow()
  return { inserted: false, paymentId: holder.id }
}

export async function findPayment(db: Kysely<Tables>, id: string): Promise<Payment | undefined> {
  const row = await db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toPayment(row)
}

/** Appends to the payment's history. A sequence that exists already is refused by the database. */
export async function insertEvent(
  tx: Transaction<Tables>,
  event: PaymentEvent,
  { actor, requestId }: { actor: string; requestId: string | undefined },
): Promise<void> {
  await tx
    .insertInto('payment_events')
    .values({
      payment_id: event.paymentId,
      merchant_id: event.merchantId,
      sequence: event.sequence,
      type: event.type,
      data: JSON.stringify(event.data),
      actor,
      request_id: requestId ?? null,
      created_at: event.at,
    })
    .execute()
}

export function toPayment(row: Selectable<PaymentsTable>): Payment {
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

/** A time by the database's clock, the only one that leases and redrives are judged by. */
export function fromNow(delayMs: number) {
  return sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`
}

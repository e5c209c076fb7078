import type { Payment } from '@cashflow/domain'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { PAYMENT_COLUMNS, toPayment } from './row.ts'

// In these statements the status is a parameter. With a literal, the planner would know that the partial index of PENDING
// payments has the row. It might then read that whole index instead of the primary key.

/** Returns whether a payment waits for an operator. */
export async function isParked(db: Kysely<Tables>, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('payments')
    .select('id')
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is not', null)
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Returns a parked payment to the pipeline: the next reconciliation redrives it. Its `attempts` become 1, not 0: only with
 * attempts above 0 is the provider first asked whether an earlier attempt has already charged. `provider_pending_since`
 * stays, for the same reason.
 *
 * @returns false when the payment is not parked
 */
export async function unparkPayment(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('payments')
    .set((eb) => ({ parked_at: null, redrive_at: eb.fn<Date>('now'), attempts: 1, refusals: 0, redrives: 0 }))
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is not', null)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

/** Locks a payment. `leased`: a worker holds it now; one that only waits for its next attempt is free. */
export async function lockPayment(
  tx: Transaction<Tables>,
  id: string,
): Promise<{ payment: Payment; leased: boolean } | undefined> {
  const row = await tx
    .selectFrom('payments')
    .select(PAYMENT_COLUMNS)
    // As `sql`: the builder needs three expressions for it.
    .select(sql<boolean>`claim_token is not null and coalesce(lease_until > now(), false)`.as('leased'))
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row && { payment: toPayment(row), leased: row.leased }
}

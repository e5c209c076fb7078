import type { Payment } from '@cashflow/domain'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { recordAttempts } from './attempts.ts'
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
  const attempts = 1
  const { numUpdatedRows } = await tx
    .updateTable('payments')
    .set((eb) => ({ parked_at: null, redrive_at: eb.fn<Date>('now'), attempts, refusals: 0, redrives: 0 }))
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is not', null)
    .executeTakeFirstOrThrow()
  if (numUpdatedRows === 0n) return false
  await recordAttempts(tx, [{ paymentId: id, kind: 'requeued', actor: 'operator', attempts }])
  return true
}

export interface LockedPayment {
  readonly payment: Payment
  /** A worker holds the payment now. One that only waits for its next attempt is free. */
  readonly leased: boolean
  /** The hash of the payment's last event. */
  readonly lastHash: Buffer | null
}

export async function lockPayment(tx: Transaction<Tables>, id: string): Promise<LockedPayment | undefined> {
  const row = await tx
    .selectFrom('payments')
    .select([...PAYMENT_COLUMNS, 'last_hash'])
    // As `sql`: the builder needs three expressions for it.
    .select(sql<boolean>`claim_token is not null and coalesce(lease_until > now(), false)`.as('leased'))
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row && { payment: toPayment(row), leased: row.leased, lastHash: row.last_hash }
}

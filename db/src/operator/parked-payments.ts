import type { Payment } from '@cashflow/domain'
import { type Kysely, sql, type Transaction } from 'kysely'
import { toPayment } from '../payments/row.ts'
import type { Tables } from '../tables.ts'

// The status is a parameter: of a literal the planner knows that the index of all who wait has it, and may read it whole.
export async function isParked(db: Kysely<Tables>, id: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from payments where id = ${id} and status = ${'PENDING'} and parked_at is not null`.execute(db)
  return rows.length > 0
}

/**
 * Gives a parked payment back to the pipeline with all its attempts but one: with none made, the provider would not be
 * asked for the charge first that an attempt of before may have left. `provider_pending_since` stays, for the same
 * reason. The next reconciliation redrives it.
 *
 * @returns false when it is not parked
 */
export async function unparkPayment(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update payments set parked_at = null, redrive_at = now(), attempts = 1, refusals = 0, redrives = 0
    where id = ${id} and status = ${'PENDING'} and parked_at is not null`.execute(tx)
  return numAffectedRows === 1n
}

/** Locks a payment, and says whether a worker holds it now: one that only waits for its next attempt is free. */
export async function lockPayment(
  tx: Transaction<Tables>,
  id: string,
): Promise<{ payment: Payment; leased: boolean } | undefined> {
  const row = await tx
    .selectFrom('payments')
    .selectAll()
    .select(sql<boolean>`claim_token is not null and coalesce(lease_until > now(), false)`.as('leased'))
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return row && { payment: toPayment(row), leased: row.leased }
}

/** Makes a locked payment the operator's, as a claim would: a worker whose lease ran out finds another's token there. */
export async function takePayment(tx: Transaction<Tables>, id: string, token: string): Promise<void> {
  await tx.updateTable('payments').set({ claim_token: token, parked_at: null }).where('id', '=', id).execute()
}

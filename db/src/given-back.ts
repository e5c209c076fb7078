import { sql, type Transaction } from 'kysely'
import { fromNow, type NewClaim } from './payment-store.ts'
import type { Tables } from './tables.ts'

/** Locks a payment, and says whether this claim still holds it, or has settled it. */
export async function lockClaimed(tx: Transaction<Tables>, { id, token }: NewClaim): Promise<boolean> {
  const row = await tx.selectFrom('payments').select('claim_token').where('id', '=', id).forUpdate().executeTakeFirst()
  return row?.claim_token === token
}

/** Gives a locked payment back, after an attempt without an answer if `counted`: nobody claims it before the delay ends. */
export async function savePostponed(
  tx: Transaction<Tables>,
  id: string,
  {
    delayMsAfter,
    redriveAfterMs,
    counted = true,
  }: { delayMsAfter: (attempts: number) => number; redriveAfterMs: number; counted?: boolean },
): Promise<{ attempts: number; delayMs: number }> {
  const { attempts } = await tx
    .updateTable('payments')
    .set((eb) => ({ attempts: eb('attempts', '+', counted ? 1 : 0), claim_token: null }))
    .where('id', '=', id)
    .returning('attempts')
    .executeTakeFirstOrThrow()
  const delayMs = delayMsAfter(attempts)
  await tx
    .updateTable('payments')
    .set({ lease_until: fromNow(delayMs), redrive_at: fromNow(delayMs + redriveAfterMs) })
    .where('id', '=', id)
    .execute()
  return { attempts, delayMs }
}

/**
 * Takes a payment out of the pipeline, PENDING, until an operator decides.
 *
 * @param attempts for which it is parked, a lease that ran out among them
 * @returns false when it is settled, parked or leased by now, or was requeued and has others
 */
export async function parkPayment(tx: Transaction<Tables>, id: string, attempts: number): Promise<boolean> {
  const parked = await tx
    .updateTable('payments')
    .set({ attempts, parked_at: fromNow(0), claim_token: null, lease_until: null, redrive_at: null })
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is', null)
    .where((eb) => eb.or([eb('claim_token', 'is', null), eb('lease_until', '<=', sql<Date>`now()`)]))
    .where(sql<number>`attempts + (claim_token is not null)::int`, '=', attempts)
    .executeTakeFirst()
  return parked.numUpdatedRows > 0n
}

export interface GivenBack {
  parked: boolean
  /** Until it may be claimed again. */
  delayMs: number
}

/**
 * A PENDING payment that nobody holds, after so many attempts. For who gave his claim back, and does not know whether that
 * committed. Whoever else has given the payment back since has scheduled it as well.
 */
export async function findGivenBack(
  tx: Transaction<Tables>,
  id: string,
  { attempts }: { attempts: number },
): Promise<GivenBack | undefined> {
  return await tx
    .selectFrom('payments')
    .select([
      sql<boolean>`parked_at is not null`.as('parked'),
      sql<number>`greatest(0, coalesce(extract(epoch from lease_until - now()), 0))::float8 * 1000`.as('delayMs'),
    ])
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('claim_token', 'is', null)
    .where('attempts', '=', attempts)
    .executeTakeFirst()
}

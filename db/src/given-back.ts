import { sql, type Transaction } from 'kysely'
import type { Tables } from './tables.ts'

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

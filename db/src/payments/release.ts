import { type ExpressionBuilder, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { NewClaim } from './claim.ts'
import { fromNow } from './row.ts'

/** Locks a payment, and says whether this claim still holds it, or has settled it. */
export async function lockClaimed(tx: Transaction<Tables>, { id, token }: NewClaim): Promise<boolean> {
  const row = await tx.selectFrom('payments').select('claim_token').where('id', '=', id).forUpdate().executeTakeFirst()
  return row?.claim_token === token
}

/**
 * Why a claim ends although its payment is not settled:
 * `unanswered`: the attempt got no answer, and counts. `refused`: the provider refused the payment's form, which counts
 * as a refusal. `pending`: the provider answered that it has not decided yet, which ends both counts. `uncounted`: none of
 * these.
 */
export type Cause = 'unanswered' | 'refused' | 'pending' | 'uncounted'

/** A payment's counts after its claim has ended. */
export interface Counts {
  attempts: number
  refusals: number
  /** How long ago the provider first said that it has not decided yet. Undefined: it never said so. */
  pendingMs: number | undefined
}

/** Ends the claim of a locked payment. No claim succeeds before the delay, which follows from its counts, has passed. */
export async function saveRetry(
  tx: Transaction<Tables>,
  id: string,
  {
    cause = 'unanswered',
    delayMsAfter,
    redriveAfterMs,
  }: { cause?: Cause; delayMsAfter: (counts: Counts) => number; redriveAfterMs: number },
): Promise<Counts & { delayMs: number }> {
  const row = await tx
    .updateTable('payments')
    .set((eb) => ({ ...countedFor(cause, eb), claim_token: null }))
    .where('id', '=', id)
    .returning(['attempts', 'refusals'])
    // The database's clock alone says how long a payment has been pending.
    .returning(
      sql<number | null>`extract(epoch from clock_timestamp() - provider_pending_since)::float8 * 1000`.as('pendingMs'),
    )
    .executeTakeFirstOrThrow()
  const counts = { ...row, pendingMs: row.pendingMs ?? undefined }
  const delayMs = delayMsAfter(counts)
  await tx
    .updateTable('payments')
    .set({ lease_until: fromNow(delayMs), redrive_at: fromNow(delayMs + redriveAfterMs) })
    .where('id', '=', id)
    .execute()
  return { ...counts, delayMs }
}

/** The attempts of a payment after its claim has ended. */
export function attemptsAfter(cause: Cause, attempts: number): number {
  if (cause === 'pending') return 0
  return cause === 'unanswered' ? attempts + 1 : attempts
}

function countedFor(cause: Cause, eb: ExpressionBuilder<Tables, 'payments'>) {
  switch (cause) {
    case 'unanswered':
      return { attempts: eb('attempts', '+', 1) }
    case 'refused':
      return { refusals: eb('refusals', '+', 1) }
    case 'pending':
      // From then on the provider is asked for the charge first, without an attempt that says so.
      return {
        attempts: 0,
        refusals: 0,
        provider_pending_since: sql<Date>`coalesce(provider_pending_since, clock_timestamp())`,
      }
    case 'uncounted':
      return {}
    default:
      return cause satisfies never
  }
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

export interface ReleasedPayment {
  parked: boolean
  refusals: number
  /** Until it may be claimed again. */
  delayMs: number
}

/**
 * A PENDING payment that nobody holds, after so many attempts. For who gave his claim back, and does not know whether that
 * committed. Whoever else has given the payment back since has scheduled it as well.
 */
export async function findReleased(
  tx: Transaction<Tables>,
  id: string,
  { attempts }: { attempts: number },
): Promise<ReleasedPayment | undefined> {
  return await tx
    .selectFrom('payments')
    .select([
      sql<boolean>`parked_at is not null`.as('parked'),
      'refusals',
      sql<number>`greatest(0, coalesce(extract(epoch from lease_until - now()), 0))::float8 * 1000`.as('delayMs'),
    ])
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('claim_token', 'is', null)
    .where('attempts', '=', attempts)
    .executeTakeFirst()
}

import { type ExpressionBuilder, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { type AttemptData, recordAttempts } from './attempts.ts'
import type { NewClaim } from './claim.ts'
import { fromNow } from './row.ts'

/** Locks a payment. Returns whether this claim still holds it, or has settled it. */
export async function lockClaimed(tx: Transaction<Tables>, { id, token }: NewClaim): Promise<boolean> {
  const row = await tx.selectFrom('payments').select('claim_token').where('id', '=', id).forUpdate().executeTakeFirst()
  return row?.claim_token === token
}

/**
 * Why a claim ends without a settlement:
 * - `unanswered`: the attempt got no answer. It counts.
 * - `refused`: the provider refused the payment's form. It counts as a refusal.
 * - `pending`: the provider has not decided yet. Both counts become 0.
 * - `uncounted`: none of these.
 */
export type Cause = 'unanswered' | 'refused' | 'pending' | 'uncounted'

/** A payment's counts after its claim has ended. */
export interface Counts {
  attempts: number
  refusals: number
  /** Time since the provider first answered that it has not decided yet. Undefined if it never did. */
  pendingMs: number | undefined
}

export interface RetryToSave {
  readonly cause?: Cause
  readonly delayMsAfter: (counts: Counts) => number
  readonly redriveAfterMs: number
  /** What is known of the attempt, for operators. */
  readonly data?: AttemptData
}

/** Ends the claim of a locked payment. The next claim succeeds after the delay that `delayMsAfter` returns for its counts. */
export async function saveRetry(
  tx: Transaction<Tables>,
  id: string,
  { cause = 'unanswered', delayMsAfter, redriveAfterMs, data }: RetryToSave,
): Promise<Counts & { delayMs: number }> {
  const row = await tx
    .updateTable('payments')
    .set((eb) => ({ ...countedFor(cause, eb), claim_token: null }))
    .where('id', '=', id)
    .returning(['attempts', 'refusals'])
    // The database's clock alone says how long a payment has been pending. As `sql`: the builder has no EXTRACT.
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
  const kind = cause === 'unanswered' ? 'unanswered' : 'released'
  const { attempts } = counts
  const noted = { ...data, delay_ms: Math.ceil(delayMs) }
  await recordAttempts(tx, [{ paymentId: id, kind, actor: 'worker', attempts, data: noted }])
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
      // The next claim asks the provider for the charge before it charges, because of this column: `attempts` is 0.
      return {
        attempts: 0,
        refusals: 0,
        provider_pending_since: eb.fn.coalesce('provider_pending_since', eb.fn<Date>('clock_timestamp')),
      }
    case 'uncounted':
      return {}
    default:
      return cause satisfies never
  }
}

/**
 * Parks a payment: it stays PENDING, outside of the pipeline, until an operator decides.
 *
 * @param attempts the attempts for which it is parked, with that of a lease that ran out
 * @param reason for operators
 * @returns false if the payment is settled, parked or leased by now, or has other attempts since an operator requeued it
 */
export async function parkPayment(
  tx: Transaction<Tables>,
  id: string,
  attempts: number,
  reason?: string,
): Promise<boolean> {
  const row = await tx
    .selectFrom('payments')
    .select(['claim_token', 'lease_until'])
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is', null)
    .where((eb) => eb.or([eb('claim_token', 'is', null), eb('lease_until', '<=', eb.fn<Date>('now'))]))
    .where(sql<number>`attempts + (claim_token is not null)::int`, '=', attempts) // A cast within a sum reads better as `sql`.
    .forUpdate()
    .executeTakeFirst()
  if (!row) return false
  await tx
    .updateTable('payments')
    .set({ attempts, parked_at: fromNow(0), claim_token: null, lease_until: null, redrive_at: null })
    .where('id', '=', id)
    .execute()
  const by = { paymentId: id, actor: 'worker', attempts }
  if (row.claim_token !== null) await recordAttempts(tx, [{ ...by, kind: 'expired', data: row }])
  await recordAttempts(tx, [{ ...by, kind: 'parked', data: { reason } }])
  return true
}

/**
 * Finds out whether a release has committed whose COMMIT is in doubt: the payment is PENDING, no claim holds it, and it has
 * this number of `attempts`. If another worker has released it since, that worker has scheduled its retry too.
 *
 * @returns `delayMs`: time until it may be claimed again
 */
export async function findReleased(tx: Transaction<Tables>, id: string, { attempts }: { attempts: number }) {
  return await tx
    .selectFrom('payments')
    .select((eb) => [
      eb('parked_at', 'is not', null).$castTo<boolean>().as('parked'),
      'refusals',
      // As `sql`: the builder has no EXTRACT.
      sql<number>`greatest(0, coalesce(extract(epoch from lease_until - now()), 0))::float8 * 1000`.as('delayMs'),
    ])
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('claim_token', 'is', null)
    .where('attempts', '=', attempts)
    .executeTakeFirst()
}

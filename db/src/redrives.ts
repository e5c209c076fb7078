import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from './tables.ts'

// However often a payment was redriven: an hour is soon enough for whoever mends the cause.
const REDRIVE_AFTER_MAX_MS = 3_600_000

export interface RedriveOptions {
  /** Until the next redrive; doubled with each one since the payment was last claimed, up to an hour. */
  redriveAfterMs: number
  batchMax: number
}

export interface Overdue {
  readonly paymentId: string
  /** The id of the request that created it. */
  readonly requestId: string | undefined
}

/** Whether a payment is past its redrive: looks without a lock, so that a healthy system pays next to nothing. */
export async function hasOverdue(db: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql`
    select 1 from payments where status = 'PENDING' and parked_at is null and redrive_at <= now() limit 1`.execute(db)
  return rows.length > 0
}

/**
 * Takes payments that are past their redrive, the longest overdue first, and moves their redrive on. Of several
 * callers at once each takes others, and none takes a payment again before its new time.
 *
 * @returns whom to send through the pipeline again, and how many were put behind a lease that still runs instead
 */
export async function takeOverdue(
  tx: Transaction<Tables>,
  { redriveAfterMs, batchMax }: RedriveOptions,
): Promise<{ overdue: Overdue[]; leased: number }> {
  // Status is a literal: only so is the partial index certain to serve it, whatever the planner knows of parameters.
  const { rows } = await sql<{ id: string; leased: boolean; request_id: string | null }>`
    with due as materialized (
      select id from payments
      where status = 'PENDING' and parked_at is null and redrive_at <= now()
      order by redrive_at limit ${batchMax} for update skip locked
    )
    update payments p set
      redrives = case when lease_until > now() then redrives else redrives + 1 end,
      redrive_at = case
        when lease_until > now() then lease_until + ${redriveAfterMs} * interval '1 millisecond'
        else now() + least(${redriveAfterMs} * power(2, least(redrives, 30)), ${REDRIVE_AFTER_MAX_MS}) * interval '1 millisecond'
      end
    where id = any(array(select id from due))
    returning id, coalesce(lease_until > now(), false) as leased,
      (select request_id from payment_events e where e.payment_id = p.id and e.sequence = 1)`.execute(tx)
  const free = rows.filter(({ leased }) => !leased)
  return {
    overdue: free.map(({ id, request_id }) => ({ paymentId: id, requestId: request_id ?? undefined })),
    leased: rows.length - free.length,
  }
}

/**
 * Makes a payment overdue now, because its message is known to be lost. One that was redriven since it was last claimed
 * keeps its time: what loses its messages at once must not make it go round at once.
 *
 * @returns what became of it; `waiting` is PENDING and left alone
 */
export async function hastenRedrive(
  tx: Transaction<Tables>,
  id: string,
): Promise<'hastened' | 'waiting' | 'parked' | 'settled' | 'unknown'> {
  const row = await tx
    .selectFrom('payments')
    .select(['status', 'parked_at', 'redrives'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (!row) return 'unknown'
  if (row.status !== 'PENDING') return 'settled'
  if (row.parked_at) return 'parked'
  if (row.redrives > 0) return 'waiting'
  await tx.updateTable('payments').set({ redrive_at: sql<Date>`now()` }).where('id', '=', id).execute()
  return 'hastened'
}

import type { TimeSpan } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

// However often a payment was redriven: an hour is soon enough for whoever mends the cause.
const REDRIVE_AFTER_MAX_MS = 3_600_000

export interface RedriveOptions {
  /** Until the next redrive; doubled with each one since the payment was last claimed, up to an hour. */
  redriveAfterMs: number
  batchMax: number
  /** Where to look, in the order of time. No row outside of them is read, so that a damaged one can be left out. */
  spans: readonly TimeSpan[]
  /** Whether to look up who created them. */
  traced: boolean
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
export async function claimOverdue(
  tx: Transaction<Tables>,
  { redriveAfterMs, batchMax, spans, traced }: RedriveOptions,
): Promise<{ overdue: Overdue[]; leased: number }> {
  // Status is a literal: only so is the partial index certain to serve it, whatever the planner knows of parameters.
  // Each of those that are taken gets a microsecond of its own, so that a span can tell it from its neighbours.
  const requestId = traced
    ? sql`(select request_id from payment_events e where e.payment_id = p.id and e.sequence = 1)`
    : sql`null::text`
  const { rows } = await sql<{ id: string; leased: boolean; request_id: string | null }>`
    with due as materialized (
      select id from unnest(${spans.map(({ from }) => from)}::float8[], ${spans.map(({ to }) => to)}::float8[])
        as span ("from", "to") cross join lateral (
          select id from payments
          where status = 'PENDING' and parked_at is null and redrive_at <= now()
            and redrive_at >= to_timestamp("from" / 1000000) and redrive_at < to_timestamp("to" / 1000000)
          order by redrive_at limit ${batchMax} for update skip locked
        ) due
      limit ${batchMax}
    )
    update payments p set
      redrives = case when lease_until > now() then redrives else redrives + 1 end,
      redrive_at = case
        when lease_until > now() then lease_until + ${redriveAfterMs} * interval '1 millisecond'
        else now() + least(${redriveAfterMs} * power(2, least(redrives, 30)), ${REDRIVE_AFTER_MAX_MS}) * interval '1 millisecond'
      end + (clock_timestamp() - now())
    where id = any(array(select id from due))
    returning id, coalesce(lease_until > now(), false) as leased, ${requestId} as request_id`.execute(tx)
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
 * @param skipLocked whether to leave a payment alone that another session has locked, instead of waiting for it
 * @returns what became of it; `waiting` and `locked` are left alone, and redriven when their time comes
 */
export async function redriveNow(
  tx: Transaction<Tables>,
  id: string,
  { skipLocked = false } = {},
): Promise<'hastened' | 'waiting' | 'locked' | 'parked' | 'settled' | 'unknown'> {
  // All columns, as a claim reads them: damage in one of them is to be met here as well.
  const locking = tx.selectFrom('payments').selectAll().where('id', '=', id).forUpdate()
  const row = await (skipLocked ? locking.skipLocked() : locking).executeTakeFirst()
  if (!row) return skipLocked && (await exists(tx, id)) ? 'locked' : 'unknown'
  if (row.status !== 'PENDING') return 'settled'
  if (row.parked_at) return 'parked'
  const waits = row.redrives > 0
  // Written to in any case, to row and index: what keeps a claim from writing is to be met here as well.
  const redriveAt = waits ? sql<Date>`redrive_at + interval '1 microsecond'` : sql<Date>`now()`
  await tx.updateTable('payments').set({ redrive_at: redriveAt }).where('id', '=', id).execute()
  return waits ? 'waiting' : 'hastened'
}

async function exists(tx: Transaction<Tables>, id: string): Promise<boolean> {
  return (await tx.selectFrom('payments').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
}

/**
 * Has a payment redriven at once that could not be read or written before. An attempt may have been lost with its row, so
 * that the provider is asked for a charge first.
 *
 * @returns false when it is settled, parked or not there
 */
export async function redriveUnreadable(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('payments')
    .set({ redrive_at: sql<Date>`now()`, redrives: 0, attempts: sql<number>`greatest(attempts, 1)` })
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is', null)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

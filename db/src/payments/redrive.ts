import { type TimeSpan, timeSpans } from '@cashflow/outbox'
import { type ExpressionBuilder, type Kysely, type QueryCreator, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import { recordAttempts } from './attempts.ts'
import { JUDGED_BY } from './claim.ts'
import { PAYMENT_COLUMNS } from './row.ts'

// The longest wait between two redrives of a payment. By then an operator has to fix the cause, so more often is no use.
const REDRIVE_AFTER_MAX_MS = 3_600_000

export interface RedriveOptions {
  /** Time to the next redrive, in milliseconds. It doubles with each redrive since the last claim, up to an hour. */
  redriveAfterMs: number
  batchMax: number
  /** The spans of `redrive_at` to search, in order. No row outside of them is read, so a damaged row can be left out. */
  spans: readonly TimeSpan[]
  /** True to look up the requests that created the payments. */
  traced: boolean
}

export interface Overdue {
  readonly paymentId: string
  /** The id of the request that created it. */
  readonly requestId: string | undefined
  /** The place of that request in its trace. */
  readonly traceparent: string | undefined
}

/** Returns whether a payment is past its redrive. It takes no lock, so that a healthy system pays next to nothing. */
export async function hasOverdue(db: Kysely<Tables>): Promise<boolean> {
  const row = await overdue(db).select(sql.lit(1).as('one')).limit(sql.lit(1)).executeTakeFirst()
  return row !== undefined
}

/** Status is a literal: for a parameter the planner cannot know that the partial index on `redrive_at` has all the rows. */
function overdue(qb: QueryCreator<Tables>) {
  return qb
    .selectFrom('payments')
    .where('status', '=', sql.lit('PENDING'))
    .where('parked_at', 'is', null)
    .where('redrive_at', '<=', (eb) => eb.fn<Date>('now'))
}

/**
 * Takes payments that are past their redrive, the longest overdue first, and moves their redrive on. Concurrent callers
 * take different payments. No payment is taken again before its new time.
 *
 * @returns the payments to send through the pipeline again, and how many were moved behind a lease that still runs instead
 */
export async function claimOverdue(
  tx: Transaction<Tables>,
  { redriveAfterMs, batchMax, spans, traced }: RedriveOptions,
): Promise<{ overdue: Overdue[]; leased: number }> {
  const rows = await tx
    .with(
      (cte) => cte('due').materialized(),
      (qb) =>
        qb
          .selectFrom(timeSpans(spans))
          .crossJoinLateral(
            overdue(qb)
              .select('id')
              // As `sql`: in a function of its own, the builder does not know the columns of `span`.
              .where('redrive_at', '>=', sql<Date>`to_timestamp(span.from_micros / 1000000)`)
              .where('redrive_at', '<', sql<Date>`to_timestamp(span.to_micros / 1000000)`)
              .orderBy('redrive_at')
              .limit(batchMax)
              .forUpdate()
              .skipLocked()
              .as('due'),
          )
          .select('due.id')
          .limit(batchMax),
    )
    .updateTable('payments as p')
    // An array, not a join: PostgreSQL makes it once, and then finds each row by the primary key. The builder has no ARRAY.
    .where('p.id', '=', (eb) => sql<string>`any(array${eb.selectFrom('due').select('id')})`)
    // CASE and `coalesce` as `sql`: the builder's form reads worse.
    .set({
      redrives: sql<number>`case when lease_until > now() then redrives else redrives + 1 end`,
      redrive_at: nextRedrive(redriveAfterMs),
    })
    .returning((eb) => [
      'p.id',
      'p.attempts',
      'p.redrives',
      sql<boolean>`coalesce(lease_until > now(), false)`.as('leased'),
      (traced ? creatorOf(eb).select('e.request_id') : eb.cast<string | null>(eb.lit(null), 'text')).as('request_id'),
      (traced ? creatorOf(eb).select(TRACEPARENT.as('traceparent')) : eb.cast<string | null>(eb.lit(null), 'text')).as(
        'traceparent',
      ),
    ])
    .execute()
  const free = rows.filter(({ leased }) => !leased)
  await recordAttempts(
    tx,
    free.map(({ id: paymentId, attempts, redrives }) => ({
      ...{ paymentId, kind: 'redriven', actor: 'worker', attempts },
      data: { redrives },
    })),
  )
  return {
    overdue: free.map(({ id, request_id, traceparent }) => ({
      paymentId: id,
      requestId: request_id ?? undefined,
      traceparent: traceparent ?? undefined,
    })),
    leased: rows.length - free.length,
  }
}

/**
 * The next redrive: doubled with each one since the last claim, or behind a lease that still runs. Each payment of a
 * statement gets a microsecond of its own, so that a span of time can tell it from the others. The builder has no intervals.
 */
function nextRedrive(redriveAfterMs: number) {
  return sql<Date>`case
    when lease_until > now() then lease_until + ${redriveAfterMs} * interval '1 millisecond'
    else now() + least(${redriveAfterMs} * power(2, least(redrives, 30)), ${REDRIVE_AFTER_MAX_MS}) * interval '1 millisecond'
  end + (clock_timestamp() - now())`
}

/** As `sql`: the builder's form reads worse. */
const TRACEPARENT = sql<string | null>`e.trace ->> 'traceparent'`

function creatorOf(eb: ExpressionBuilder<Tables & { p: { id: string } }, 'p'>) {
  return eb.selectFrom('payment_events as e').whereRef('e.payment_id', '=', 'p.id').where('e.sequence', '=', sql.lit(1))
}

/**
 * Makes a payment overdue now, because its message is known to be lost. A payment that was redriven since its last claim
 * keeps its time: if its messages are lost again and again, it must not be redriven in a loop.
 *
 * @param options.skipLocked whether to skip a payment that another session has locked, instead of waiting for the lock
 * @param options.actor who redrives it, for operators
 * @param options.reason why, for operators
 * @returns what became of the payment; `waiting` and `locked` keep their redrive
 */
export async function redriveNow(
  tx: Transaction<Tables>,
  id: string,
  { skipLocked = false, actor = 'worker', reason }: { skipLocked?: boolean; actor?: string; reason?: string } = {},
): Promise<'advanced' | 'waiting' | 'locked' | 'parked' | 'settled' | 'unknown'> {
  // All columns that a claim reads: damage in one of them must fail this statement too.
  const read = [...PAYMENT_COLUMNS, ...JUDGED_BY, 'metadata', 'redrives', 'last_hash'] as const
  const locking = tx.selectFrom('payments').select(read).where('id', '=', id).forUpdate()
  const row = await (skipLocked ? locking.skipLocked() : locking).executeTakeFirst()
  if (!row) return skipLocked && (await exists(tx, id)) ? 'locked' : 'unknown'
  if (row.status !== 'PENDING') return 'settled'
  if (row.parked_at) return 'parked'
  const waits = row.redrives > 0
  // The row and its index are written in any case: what makes a claim's write fail must fail this one too.
  const later = sql<Date>`redrive_at + interval '1 microsecond'` // The builder has no intervals.
  const payment = tx.updateTable('payments').where('id', '=', id)
  await payment.set(({ fn }) => ({ redrive_at: waits ? later : fn<Date>('now') })).execute()
  if (waits) return 'waiting'
  const { attempts } = row
  await recordAttempts(tx, [{ paymentId: id, kind: 'redriven', actor, attempts, data: { reason } }])
  return 'advanced'
}

async function exists(tx: Transaction<Tables>, id: string): Promise<boolean> {
  return (await tx.selectFrom('payments').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
}

/**
 * Makes a payment overdue now that could not be read or written before. An attempt may have been lost with its row, so its
 * attempts become at least 1: the provider is then asked for a charge first.
 *
 * @returns false if the payment is settled, parked or unknown
 */
export async function redriveUnreadable(tx: Transaction<Tables>, id: string): Promise<boolean> {
  const row = await tx
    .updateTable('payments')
    .set(({ fn, lit }) => ({ redrive_at: fn('now'), redrives: 0, attempts: fn('greatest', ['attempts', lit(1)]) }))
    .where('id', '=', id)
    .where('status', '=', 'PENDING')
    .where('parked_at', 'is', null)
    .returning('attempts')
    .executeTakeFirst()
  if (!row) return false
  await recordAttempts(tx, [{ paymentId: id, kind: 'requeued', actor: 'operator', attempts: row.attempts }])
  return true
}

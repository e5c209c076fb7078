import { COUNTED_MAX } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** Limits of the time from creation to settlement, in seconds. */
export const WITHIN_SECONDS = [1, 5, 60] as const
/** Age at which payments are counted: the longest limit, and 10 seconds for transactions that end late. */
const COUNTED_AFTER_SECONDS = 70

/** Payments that were created in a span of time, and how many of them were settled in time. */
export interface SettledSpan {
  /** End of the span, in milliseconds since 1970. The next one begins there. */
  readonly toMs: number
  /** Number of payments. One more than 10,000 if there are more, and the others are left out. */
  readonly created: number
  /** How many of them were settled within 1, 5 and 60 seconds. */
  readonly settled: Readonly<Record<(typeof WITHIN_SECONDS)[number], number>>
}

/**
 * Counts the payments that were created between `fromMs` and 70 seconds ago, by the database's clock. What it counts does not
 * change any more. A payment's id contains its time of creation (RFC 9562 §5.7), so the primary key finds them.
 *
 * @param fromMs the end of the span before, in milliseconds since 1970. Without it, no payment is counted
 */
export async function readSettled(db: Kysely<Tables>, fromMs: number | undefined): Promise<SettledSpan> {
  // As `sql`: the builder has no EXTRACT, no FILTER in this form, and no intervals.
  const nowMs = sql<number>`(extract(epoch from now()) * 1000)::bigint`
  const toMs = sql<number>`${nowMs} - ${sql.lit(COUNTED_AFTER_SECONDS * 1_000)}`
  const idAt = (ms: typeof toMs) => sql<string>`(lpad(to_hex(${ms}), 12, '0') || repeat('0', 20))::uuid`
  const span = db
    .selectFrom('payments')
    .select(['created_at', 'settled_at'])
    .where('id', '>=', idAt(fromMs === undefined ? toMs : sql`${fromMs}::bigint`))
    .where('id', '<', idAt(toMs))
    .orderBy('id')
    .limit(sql.lit(COUNTED_MAX + 1))
  const within = (seconds: number) =>
    sql<number>`(count(*) filter (where settled_at - created_at <= ${sql.lit(seconds)} * interval '1 second'))::int`
  const { to_ms, created, ...settled } = await db
    .selectFrom(span.as('span'))
    .select([sql<string>`${toMs}`.as('to_ms'), sql<number>`count(*)::int`.as('created')])
    .select([within(1).as('1'), within(5).as('5'), within(60).as('60')])
    .executeTakeFirstOrThrow()
  return { toMs: Number(to_ms), created, settled }
}

import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { SLOT_MS, SLOTS } from './ring.ts'
import { percentileOf, SETTLED_AFTER_MS } from './settled-after.ts'

/** The points of each range. */
const RANGES = {
  '5m': { points: 30, stepMs: 10_000 },
  '1h': { points: 120, stepMs: 30_000 },
  '24h': { points: 288, stepMs: 300_000 },
} as const

export type ChartRange = keyof typeof RANGES

/** Points of equal width, the oldest first. Each array has one number for each point, null where no slot was stored. */
export interface Charts {
  readonly range: ChartRange
  /** The beginning of each point, in seconds since 1970. */
  readonly at: readonly number[]
  /** Width of a point, in seconds. */
  readonly step_s: number
  /** Payments a second. */
  readonly created: readonly (number | null)[]
  readonly settled: readonly (number | null)[]
  /** From creation to settlement, in milliseconds, of the payments that were settled in the point: see `percentileOf`. */
  readonly p50_ms: readonly (number | null)[]
  readonly p99_ms: readonly (number | null)[]
  /** The most messages in the outbox, and the highest age of the oldest one in milliseconds, of the point's slots. */
  readonly backlog: readonly (number | null)[]
  readonly lag_ms: readonly (number | null)[]
  /** The most ready messages in the queue of the workers. */
  readonly queue: readonly (number | null)[]
}

/**
 * Reads the charts of a range that ends with the last slot that has ended, by the database's clock. The last point of a long
 * range may have only a part of its slots. It reads at most 8,640 rows, by the primary key.
 */
export async function readCharts(db: Kysely<Tables>, range: ChartRange): Promise<Charts> {
  const { points, stepMs } = RANGES[range]
  // As `sql`: the builder has no EXTRACT.
  const now = sql<number>`extract(epoch from clock_timestamp())::float8 * 1000`
  const { nowMs } = await db.selectNoFrom(now.as('nowMs')).executeTakeFirstOrThrow()
  const lastMs = Math.floor((nowMs - SLOT_MS) / stepMs) * stepMs
  const at = Array.from({ length: points }, (_, point) => lastMs - (points - 1 - point) * stepMs)
  const rows = await readPoints(db, { fromMs: at[0] ?? lastMs, toMs: lastMs + stepMs, stepMs })
  const found = new Map(rows.map((row) => [row.point, row]))
  const each = (read: (row: PointRow) => number | null) =>
    at.map((_, point) => {
      const row = found.get(point)
      return row ? read(row) : null
    })
  return {
    range,
    at: at.map((ms) => ms / 1_000),
    step_s: stepMs / 1_000,
    created: each(({ created, span_ms }) => rateOf(created, span_ms)),
    settled: each(({ settled, span_ms }) => rateOf(settled, span_ms)),
    p50_ms: each(({ within }) => percentileOf(within, 0.5)),
    p99_ms: each(({ within }) => percentileOf(within, 0.99)),
    backlog: each(({ backlog }) => backlog),
    lag_ms: each(({ lag_ms }) => lag_ms),
    queue: each(({ queue_depth }) => queue_depth),
  }
}

const rateOf = (count: number | null, spanMs: number | null) =>
  count === null || !spanMs ? null : (count * 1_000) / spanMs

type PointRow = Awaited<ReturnType<typeof readPoints>>[number]

/** Sums the slots of each point. A row of yesterday, which no process has overwritten, has another time. */
async function readPoints(
  db: Kysely<Tables>,
  { fromMs, toMs, stepMs }: { fromMs: number; toMs: number; stepMs: number },
) {
  const first = fromMs / SLOT_MS
  // As `sql`: the builder has no functions as sources, no elements of arrays, no modulo, and its CAST of a sum reads worse.
  const wanted = sql<{ number: number }>`generate_series(${first}::int, ${toMs / SLOT_MS - 1}::int)`
  const sumOf = (column: 'span_ms' | 'created' | 'settled') => sql<number | null>`sum(${sql.ref(column)})::float8`
  const buckets = SETTLED_AFTER_MS.map((_, bucket) => sql`coalesce(sum(settled_within[${sql.lit(bucket + 1)}]), 0)`)
  return await db
    .selectFrom(wanted.as<'wanted'>(sql`wanted (number)`))
    .innerJoin('chart_slots', (join) =>
      join
        .on('slot', '=', sql<number>`number % ${sql.lit(SLOTS)}`)
        .on('at', '=', sql<Date>`to_timestamp(number::float8 * ${sql.lit(SLOT_MS / 1_000)})`),
    )
    .select([
      sql<number>`(number - ${first}::int) / ${stepMs / SLOT_MS}::int`.as('point'),
      ...[sumOf('span_ms').as('span_ms'), sumOf('created').as('created'), sumOf('settled').as('settled')],
      sql<number[]>`array[${sql.join(buckets)}]::float8[]`.as('within'),
      ...[sql<number | null>`max(backlog)`.as('backlog'), sql<number | null>`max(lag_ms)`.as('lag_ms')],
      sql<number | null>`max(queue_depth)`.as('queue_depth'),
    ])
    .groupBy('point')
    .execute()
}

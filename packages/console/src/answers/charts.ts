export const CHART_RANGES = ['5m', '1h', '24h'] as const
export type ChartRange = (typeof CHART_RANGES)[number]

/**
 * `GET /api/charts?range=5m`: points of equal width, the oldest first. Each array has one number for each point, null where no
 * slot was stored.
 */
export interface Charts {
  readonly range: ChartRange
  /** The beginning of each point, in seconds since 1970. */
  readonly at: readonly number[]
  /** Width of a point, in seconds. */
  readonly step_s: number
  /** Payments a second. */
  readonly created: readonly (number | null)[]
  readonly settled: readonly (number | null)[]
  /** From creation to settlement, in milliseconds, of the payments that were settled in the point. */
  readonly p50_ms: readonly (number | null)[]
  readonly p99_ms: readonly (number | null)[]
  /** Messages in the outbox, and the age of the oldest one in milliseconds. */
  readonly backlog: readonly (number | null)[]
  readonly lag_ms: readonly (number | null)[]
  /** Ready messages in the queue of the workers. */
  readonly queue: readonly (number | null)[]
}

const SHORTEST_MS = 5
const LONGEST_MS = 3_600_000
const BUCKETS = 24

/**
 * The lower bounds of the 24 buckets that hold the times from creation to settlement, in milliseconds. The first one is 0.
 * From 5 ms to 1 hour each is 1.8 to 1.9 times the one before. The last bucket has no upper bound.
 */
export const SETTLED_AFTER_MS: readonly number[] = [
  0,
  ...Array.from({ length: BUCKETS - 1 }, (_, step) =>
    Math.round(SHORTEST_MS * (LONGEST_MS / SHORTEST_MS) ** (step / (BUCKETS - 2))),
  ),
]

/** The name of each bucket among the counters of a process. It has the bound, so that versions with other bounds never mix. */
const NAMES = SETTLED_AFTER_MS.map((ms) => `settled_from_${ms}ms`)

/** Counts settled payments by the time since their creation, as a process does from its start. */
export function createSettledAfter() {
  const buckets = emptyBuckets()
  return {
    /** @param ms may be negative: creation and settlement are timed by two clocks */
    note(ms: number): void {
      const bucket = Math.max(
        0,
        SETTLED_AFTER_MS.findLastIndex((bound) => bound <= ms),
      )
      buckets[bucket] = (buckets[bucket] ?? 0) + 1
    },
    /** The counts of the buckets that have any, by name: for the process's row of `instances`. */
    counts: (): Record<string, number> =>
      Object.fromEntries(NAMES.flatMap((name, bucket) => (buckets[bucket] ? [[name, buckets[bucket]]] : []))),
  }
}

/** Reads the buckets from the counters of a process. */
export function readBuckets(counters: Readonly<Record<string, number>>): number[] {
  return NAMES.map((name) => counters[name] ?? 0)
}

export function emptyBuckets(): number[] {
  return Array<number>(BUCKETS).fill(0)
}

/**
 * Estimates a percentile, in milliseconds. It takes the times in a bucket as spread evenly. So from 5 ms to 1 hour it may be
 * up to 1.9 times too high or too low, and below 5 ms up to 5 ms too high or too low. A percentile of 1 hour or more is
 * given as 1 hour.
 *
 * @param part such as 0.99
 * @returns null if the buckets are empty
 */
export function percentileOf(buckets: readonly number[], part: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let left = part * total
  for (const [bucket, count] of buckets.entries()) {
    const from = SETTLED_AFTER_MS[bucket] ?? LONGEST_MS
    const to = SETTLED_AFTER_MS[bucket + 1] ?? from
    if (left <= count) return from + ((to - from) * left) / count
    left -= count
  }
  return LONGEST_MS // Rounding has left a rest.
}

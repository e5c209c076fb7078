/** Returns the least value that `percent` % of all values do not exceed. @throws RangeError without a value */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort()
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
  if (value === undefined) throw new RangeError('there is no percentile of nothing')
  return value
}

export interface Interval {
  readonly low: number
  readonly high: number
  /** Probability that the interval holds the true median, from 0 to 1. It assumes nothing about the distribution. */
  readonly confidence: number
}

/**
 * Returns the narrowest interval between two of the values, at the same distance from both ends, that holds the true
 * median with a confidence of at least 95 %. Fewer than six values give less: the interval is then from the least to
 * the greatest.
 *
 * It uses order statistics: each value is below the true median with a probability of one half, as in a toss of a coin.
 *
 * @throws RangeError without a value
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = values.toSorted((one, other) => one - other)
  const count = sorted.length
  let best: Interval | undefined
  let ways = 1 // Number of ways to choose `rank` of the values.
  let outside = 0
  for (let rank = 0; rank < count / 2; rank++) {
    outside += 2 * ways * 0.5 ** count
    ways = (ways * (count - rank)) / (rank + 1)
    if (best && outside > 0.05) break
    const [low, high] = [sorted[rank], sorted[count - 1 - rank]]
    if (low !== undefined && high !== undefined) best = { low, high, confidence: Math.max(0, 1 - outside) }
  }
  if (!best) throw new RangeError('there is no median of nothing')
  return best
}

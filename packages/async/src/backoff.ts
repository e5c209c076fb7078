interface JitterOptions {
  /** Cap of the first delay, in milliseconds. */
  baseMs: number
  /** Cap of every delay, in milliseconds. */
  capMs: number
  random?: (() => number) | undefined
}

/**
 * Delay before retry number `attempt` (1, 2, …), in milliseconds: exponential backoff with full jitter, so that clients
 * that lost a server at the same moment do not return at the same moment. See
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
 *
 * The delay is uniform between 0 and `baseMs · 2^(attempt − 1)`, at most `capMs`. With `baseMs` 100 and `capMs` 5,000:
 *
 * | attempt | 1   | 2   | 3   | 4   | 5     | 6     | 7 and later |
 * | ------- | --- | --- | --- | --- | ----- | ----- | ----------- |
 * | at most | 100 | 200 | 400 | 800 | 1,600 | 3,200 | 5,000       |
 */
export function fullJitterMs(attempt: number, { baseMs, capMs, random = Math.random }: JitterOptions): number {
  return random() * Math.min(capMs, baseMs * 2 ** (attempt - 1))
}

const FIRST_MS = 100
export const BACKOFF_MAX_MS = 5_000

/**
 * Full jitter: anything between nothing and the cap, which doubles from 100 ms with each attempt up to 5 s. Whatever
 * lost the broker at the same moment does not come back at the same moment.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(BACKOFF_MAX_MS, FIRST_MS * 2 ** attempt)
}

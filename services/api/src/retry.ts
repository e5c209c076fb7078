import { setTimeout as sleep } from 'node:timers/promises'
import { isTransient } from '@cashflow/db'
import { within } from './deadline.ts'

const ATTEMPTS_MAX = 4
const DEADLINE_MS = 5_000
const BACKOFF_MS = 50

/**
 * Runs idempotent work until it succeeds, fails for a reason that repeats, or has used up its attempts or its time.
 * An attempt that is given up may still take effect.
 */
export async function retryTransient<Result>(
  work: () => Promise<Result>,
  { random = Math.random, deadlineMs = DEADLINE_MS } = {},
): Promise<Result> {
  const giveUpAt = performance.now() + deadlineMs
  for (let attempt = 1; ; attempt++) {
    const delayMs = random() * BACKOFF_MS * 2 ** attempt // Full jitter.
    try {
      return await within(giveUpAt - performance.now(), work())
    } catch (error) {
      if (!isTransient(error) || attempt === ATTEMPTS_MAX || performance.now() + delayMs >= giveUpAt) throw error
      await sleep(delayMs)
      if (performance.now() >= giveUpAt) throw error // It took longer than asked for.
    }
  }
}

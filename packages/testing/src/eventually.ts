import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Tries an assertion until it holds.
 *
 * @throws the assertion's own error once it has failed for `timeoutMs` (60,000 by default)
 */
export async function eventually<Result>(
  assertion: () => Promise<Result> | Result,
  { timeoutMs = 60_000, intervalMs = 25 } = {},
): Promise<Result> {
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    try {
      return await assertion()
    } catch (error) {
      if (performance.now() >= giveUpAt) throw error
    }
    await sleep(intervalMs)
  }
}

import { pause } from './wait.ts'

/**
 * Repeats an assertion until it holds, and returns its result.
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
    await pause(intervalMs)
  }
}

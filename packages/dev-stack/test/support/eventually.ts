import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves with what the attempt returns once it neither throws nor rejects; with its last error after the deadline. */
export async function eventually<Result>(
  attempt: () => Result | Promise<Result>,
  deadlineMs = 60_000,
): Promise<Result> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(25)
    }
  }
}

/** What was waited for did not happen in time; it may still. */
export class DeadlineError extends Error {
  readonly code = 'deadline_passed'
}

/** @throws DeadlineError when the promise has not settled after `ms` milliseconds; it is left to itself then */
export async function within<Result>(ms: number, promise: Promise<Result>): Promise<Result> {
  const { promise: passed, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new DeadlineError(`No answer within ${Math.round(ms)} ms`)), ms)
  try {
    return await Promise.race([promise, passed])
  } finally {
    clearTimeout(timer)
  }
}

/** The work did not settle in time. It continues, and may still take effect. */
export class DeadlineError extends Error {
  readonly code = 'deadline_passed'
}

export interface DeadlineOptions {
  deadlineMs: number
  /** Names the work in the error's message, such as `closing the channel`. */
  what: string
  signal?: AbortSignal | undefined
}

/**
 * Waits for `work`, but no longer than `deadlineMs` milliseconds. The work itself is not stopped, and an error that it
 * throws later is ignored.
 *
 * @throws DeadlineError at the deadline; the signal's reason when it aborts; otherwise what `work` throws
 */
export async function within<Result>(
  work: Promise<Result>,
  { deadlineMs, what, signal }: DeadlineOptions,
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const timer = setTimeout(() => {
    reject(new DeadlineError(`${what} took longer than ${Math.round(deadlineMs)} ms`))
  }, deadlineMs)
  const giveUp = () => reject(signal?.reason)
  if (signal?.aborted) giveUp()
  signal?.addEventListener('abort', giveUp)
  work.then(resolve, reject)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}

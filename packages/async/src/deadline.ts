/** The work did not settle in time. It continues, and may still take effect. */
export class DeadlineError extends Error {
  readonly code = 'deadline_passed'
}

interface DeadlineOptions {
  /** Default: none, so that only `signal` ends the wait. */
  deadlineMs?: number
  /** Names the work in the error's message, such as `closing the channel`. */
  what?: string
  signal?: AbortSignal | undefined
}

/**
 * Waits for `work`, but no longer than `deadlineMs` milliseconds, and only until `signal` aborts. The work itself is not
 * stopped, and an error that it throws later is ignored.
 *
 * @throws DeadlineError at the deadline; the signal's reason when it aborts; otherwise what `work` throws
 */
export async function within<Result>(
  work: Promise<Result>,
  { deadlineMs, what = 'the work', signal }: DeadlineOptions,
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const late = (ms: number) => reject(new DeadlineError(`${what} took longer than ${Math.round(ms)} ms`))
  const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs, deadlineMs)
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

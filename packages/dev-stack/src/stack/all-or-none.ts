/**
 * Runs the tasks at once. When one fails or the signal aborts, the others are told to give up; and only when all have
 * ended does the first error reach the caller, so that nothing is still being started behind its back.
 */
export async function allOrNone(tasks: ((signal: AbortSignal) => Promise<void>)[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  await Promise.allSettled(
    tasks.map(async (task) => {
      try {
        await task(either)
      } catch (error) {
        failed.abort(error)
      }
    }),
  )
  failed.signal.throwIfAborted()
  signal.throwIfAborted()
}

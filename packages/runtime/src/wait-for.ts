import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './logger.ts'
import { errorMessage } from './redact.ts'

const RETRY_MS = 500
const REMIND_MS = 10_000

/**
 * Tries until it succeeds, and says meanwhile what it waits for and why: at once, then every ten seconds.
 * `attempt` bounds its own time. An error that `isHopeless` recognises is thrown at once.
 *
 * @throws what the signal aborted with, or a hopeless error
 */
export async function waitFor<Result>(
  what: string,
  attempt: () => Promise<Result>,
  options: { logger: Logger; signal: AbortSignal; isHopeless?: (error: unknown) => boolean },
): Promise<Result> {
  const { logger, signal, isHopeless = () => false } = options
  let remindAt = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      const result = await attempt()
      if (remindAt > 0) logger.info(`reached ${what}`)
      return result
    } catch (error) {
      if (isHopeless(error)) throw error
      if (Date.now() >= remindAt) {
        logger.warn(`waiting for ${what}`, { reason: errorMessage(error) })
        remindAt = Date.now() + REMIND_MS
      }
    }
    await sleep(RETRY_MS, undefined, { signal })
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from './logger.ts'
import { errorMessage } from './redact.ts'

const RETRY_MS = 500
const REMIND_MS = 10_000

export interface WaitOptions {
  logger: Logger
  signal: AbortSignal
  /** Recognises an error that is thrown at once. */
  isHopeless?: (error: unknown) => boolean
  /** Names the settings to look at where the server answered and refused: that is logged as an error, not as a warning. */
  settingsOf?: (error: unknown) => string | undefined
}

/**
 * Tries until it succeeds, and says what it waits for and why: at once, then every ten seconds. `attempt` bounds its own
 * time.
 *
 * @throws what the signal aborted with, or a hopeless error
 */
export async function waitFor<Result>(
  what: string,
  attempt: () => Promise<Result>,
  { logger, signal, isHopeless = () => false, settingsOf = () => undefined }: WaitOptions,
): Promise<Result> {
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
        const settings = settingsOf(error)
        const facts = { reason: errorMessage(error), ...(settings !== undefined && { settings }) }
        logger[settings === undefined ? 'warn' : 'error'](`waiting for ${what}`, facts)
        remindAt = Date.now() + REMIND_MS
      }
    }
    await sleep(RETRY_MS, undefined, { signal })
  }
}

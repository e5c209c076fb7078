import { pause } from '@cashflow/async'
import type { Logger } from './logger.ts'
import { redactedErrorMessage } from './redact.ts'

const RETRY_MS = 500
const REMIND_MS = 10_000

export interface WaitOptions {
  logger: Logger
  signal: AbortSignal
  /** True for an error that ends the wait. */
  isHopeless?: (error: unknown) => boolean
  /** The settings to correct if the server refused the connection. The wait is then logged as an error, not as a warning. */
  settingsOf?: (error: unknown) => string | undefined
}

/**
 * Repeats `attempt` until it succeeds. Logs `what` it waits for and the reason: immediately, then every ten seconds.
 *
 * @param attempt has a deadline of its own
 * @throws the signal's reason, or a hopeless error
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
        const facts = { reason: redactedErrorMessage(error), ...(settings !== undefined && { settings }) }
        logger[settings === undefined ? 'warn' : 'error'](`waiting for ${what}`, facts)
        remindAt = Date.now() + REMIND_MS
      }
    }
    await pause(RETRY_MS, signal)
  }
}

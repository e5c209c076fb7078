import type { LogFields, Logger } from './logger.ts'

interface ConditionOptions {
  /** The line while the condition holds. */
  message: string
  /** The line when the condition has ended, at level info, with `lasted_ms`. */
  ended: string
  /** Level of `message`. Default: warn. */
  level?: 'info' | 'warn' | 'error'
  /** Time between two lines of `message`, in milliseconds. Default: 60,000. */
  everyMs?: number
  now?: () => number
}

/** Logs a condition that may last for hours: one line a minute, and one line at its end. */
export function createCondition(
  logger: Logger,
  { message, ended, level = 'warn', everyMs = 60_000, now = () => performance.now() }: ConditionOptions,
) {
  let since: number | undefined
  let isLogged = false
  // Kept after the end: a condition that begins and ends often is not logged more often.
  let loggedAt = Number.NEGATIVE_INFINITY
  return {
    /** Logs that the condition holds: the first time, then at most once in `everyMs`. */
    holds(fields: LogFields = {}): void {
      const at = now()
      since ??= at
      if (at - loggedAt < everyMs) return
      loggedAt = at
      isLogged = true
      logger[level](message, fields)
    },
    /** Logs that the condition has ended, if the log shows that it held. */
    ended(fields: LogFields = {}): void {
      if (since !== undefined && isLogged) logger.info(ended, { ...fields, lasted_ms: Math.round(now() - since) })
      since = undefined
      isLogged = false
    },
  }
}

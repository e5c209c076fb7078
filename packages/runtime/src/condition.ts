import type { LogFields, Logger } from './logger.ts'

export interface Condition {
  /** Logs that the condition holds: the first time, then at most once in `everyMs`. */
  holds(fields?: LogFields): void
  /** Logs that the condition is over, if the log said that it holds. */
  isOver(fields?: LogFields): void
}

export interface ConditionOptions {
  /** Logged while the condition holds. */
  message: string
  /** Logged when it is over, at info, with `lasted_ms`. */
  over: string
  /** Of `message`. Default: warn. */
  level?: 'warn' | 'error'
  /** Time between two lines of `message`, in milliseconds. Default: 60,000. */
  everyMs?: number
  now?: () => number
}

/** A condition that may last for hours, in a log that stays readable: one line a minute, and one line at its end. */
export function createCondition(
  logger: Logger,
  { message, over, level = 'warn', everyMs = 60_000, now = () => performance.now() }: ConditionOptions,
): Condition {
  let since: number | undefined
  let isSaid = false
  // Kept when it is over: a condition that comes and goes is not logged more often.
  let saidAt = Number.NEGATIVE_INFINITY
  return {
    holds(fields = {}) {
      const at = now()
      since ??= at
      if (at - saidAt < everyMs) return
      saidAt = at
      isSaid = true
      logger[level](message, fields)
    },
    isOver(fields = {}) {
      if (since !== undefined && isSaid) logger.info(over, { ...fields, lasted_ms: Math.round(now() - since) })
      since = undefined
      isSaid = false
    },
  }
}

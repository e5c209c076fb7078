import type { ClaimedDelivery, Verdict } from '@cashflow/db/webhooks'
import type { Attempt } from '@cashflow/webhook-sender'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** Time from each failed attempt to the next one, before jitter. The first attempt is made at once: 10 in 75.6 hours. */
const DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  ...[5, 30].map((minutes) => minutes * MINUTE_MS),
  ...[2, 5, 10, 14, 20, 24].map((hours) => hours * HOUR_MS),
]
/** Share by which a delay is longer or shorter. */
const JITTER = 0.2
const HOLD_FIRST_MS = SECOND_MS
const HOLD_MAX_MS = MINUTE_MS
/** Answers that say "too much", and not "wrong". */
const OVERLOADED: ReadonlySet<number> = new Set([429, 502, 504])

/**
 * Decides what an attempt means: 2xx is a success, and everything else a failure, also 3xx (Standard Webhooks 1.0.0). The
 * endpoint gets nothing for as long as its `Retry-After` says. If it is overloaded and says nothing, it gets nothing for 1 to
 * 60 seconds, which doubles with the attempts of the delivery.
 */
export function verdictOn(
  { attempts, isEarly }: Pick<ClaimedDelivery, 'attempts' | 'isEarly'>,
  attempt: Attempt,
  random: () => number = Math.random,
): Verdict {
  const { status } = attempt
  if (status !== undefined && status >= 200 && status < 300) return { kind: 'succeeded' }
  const retryAfterMs = status === undefined ? 0 : (attempt.retryAfterMs ?? 0)
  const isOverloaded = status !== undefined && OVERLOADED.has(status)
  const holdMs = retryAfterMs || (isOverloaded ? Math.min(HOLD_MAX_MS, HOLD_FIRST_MS * 2 ** attempts) : 0)
  if (isEarly) return { kind: 'failed', delayMs: undefined, holdMs }
  const delayMs = DELAYS_MS[attempts]
  if (delayMs === undefined) return { kind: 'expired', holdMs }
  return { kind: 'failed', delayMs: Math.max(retryAfterMs, delayMs * (1 + JITTER * (2 * random() - 1))), holdMs }
}

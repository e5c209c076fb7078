import { defined, fullJitterMs } from '@cashflow/async'
import type { Cause, Counts } from '@cashflow/db/worker'
import type { Outcome } from '@cashflow/domain'
import type { Earlier, ProviderAnswer } from './provider/provider.ts'
import { ANSWER_SHOWS_MS } from './provider/provider-record.ts'

/** 72 hours: a bank transfer may take days. */
export const PENDING_MAX_MS = 259_200_000

const REFUSALS_MAX = 3
const UNANSWERED_DELAY = { baseMs: 1_000, capMs: 300_000 }
const NOT_ATTEMPTED_DELAY_MS = 1_000
const REJECTED_DELAY_MS = 60_000
const PENDING_DELAY_MIN_MS = 1_000
/** Delays until the next look-up, each used until `untilMs` after the first pending answer. */
const PENDING_STEPS = [
  { untilMs: 30_000, delayMs: 30_000 },
  { untilMs: 90_000, delayMs: 60_000 },
  { untilMs: 210_000, delayMs: 120_000 },
]
const PENDING_DELAY_MAX_MS = 300_000

export interface ReleaseLimits {
  /** A payment is parked after this many attempts without an answer. */
  attemptsMax: number
  /** A payment is parked by a pending answer that comes this long after the first one. Default: 72 hours. */
  pendingMaxMs?: number | undefined
  random?: (() => number) | undefined
}

/** The plan for a claimed payment that the provider's answer does not settle. */
export interface ReleasePlan {
  readonly cause: Cause
  readonly delayMsAfter: (counts: Counts) => number
  /** Returns whether the payment is parked instead of being tried again. */
  readonly mustPark: (counts: Counts) => boolean
  /** The reason in the dead letter of a parked payment. */
  readonly parkReason: string
}

export function planRelease(
  answer: Exclude<ProviderAnswer, Outcome>,
  earlier: Earlier,
  { attemptsMax, pendingMaxMs = PENDING_MAX_MS, random = Math.random }: ReleaseLimits,
): ReleasePlan {
  switch (answer.outcome) {
    case 'unknown': {
      const { reason: parkReason, retryAfterMs = 0 } = answer
      const delayMsAfter = ({ attempts }: Counts) =>
        Math.max(retryAfterMs, fullJitterMs(attempts, { ...UNANSWERED_DELAY, random }))
      const mustPark = ({ attempts }: Counts) => attempts >= attemptsMax
      return { cause: 'unanswered', delayMsAfter, mustPark, parkReason }
    }
    case 'pending': {
      const pendingMsOf = ({ pendingMs }: Counts) => defined(pendingMs, 'time of the first pending answer')
      const delayMsAfter = (counts: Counts) => pendingDelayMs(pendingMsOf(counts), answer.retryAfterMs)
      const mustPark = (counts: Counts) => pendingMsOf(counts) > pendingMaxMs
      const parkReason = `the provider has not decided within PROVIDER_PENDING_MAX_MS (${pendingMaxMs})`
      return { cause: 'pending', delayMsAfter, mustPark, parkReason }
    }
    case 'refused': {
      // Spread, so that payments that were refused together return at different times, between answers to other payments.
      const delayMs = ANSWER_SHOWS_MS * (1 + random())
      if (!answer.othersAnswered) return uncounted(delayMs)
      const parkReason = `the provider refused the payment ${REFUSALS_MAX} times: ${answer.reason}${doubtOf(earlier)}`
      const mustPark = ({ refusals }: Counts) => refusals >= REFUSALS_MAX
      return { cause: 'refused', delayMsAfter: () => delayMs, mustPark, parkReason }
    }
    case 'rejected':
      return uncounted(REJECTED_DELAY_MS)
    case 'not_attempted':
      return uncounted(NOT_ATTEMPTED_DELAY_MS)
    default:
      return answer satisfies never
  }
}

/** For the reason of a dead letter: what an operator has to know before settling the payment as FAILED. */
export function doubtOf({ attempts, pending }: Earlier): string {
  return attempts > 0 || pending ? '; an earlier request may have charged it' : ''
}

function uncounted(delayMs: number): ReleasePlan {
  return { cause: 'uncounted', delayMsAfter: () => delayMs, mustPark: () => false, parkReason: '' }
}

/**
 * Delay until the provider is asked again about a payment that it has not decided. If the provider gave a delay, that one,
 * but at least 1 s. Otherwise 30 s, 1 min, 2 min, then always 5 min.
 *
 * @param pendingMs time since the first pending answer
 */
export function pendingDelayMs(pendingMs: number, retryAfterMs: number | undefined): number {
  if (retryAfterMs !== undefined) return Math.max(PENDING_DELAY_MIN_MS, retryAfterMs)
  return PENDING_STEPS.find(({ untilMs }) => pendingMs < untilMs)?.delayMs ?? PENDING_DELAY_MAX_MS
}

import type { Cause, Counts } from '@cashflow/db'
import type { Outcome } from '@cashflow/domain'
import { retryDelayMs } from '@cashflow/outbox'
import type { Earlier, ProviderAnswer } from './provider/provider.ts'
import { ANSWER_SHOWS_MS } from './provider/provider-record.ts'

/** 72 hours: a bank transfer may take days. */
export const PENDING_MAX_MS = 259_200_000

const REFUSALS_MAX = 3
const WITHHELD_DELAY_MS = 1_000
const MISCONFIGURED_DELAY_MS = 60_000
const PENDING_DELAY_MIN_MS = 1_000
/** How long after the first pending answer the waits grow, and how long each wait is until then. */
const PENDING_STEPS = [
  { untilMs: 30_000, delayMs: 30_000 },
  { untilMs: 90_000, delayMs: 60_000 },
  { untilMs: 210_000, delayMs: 120_000 },
]
const PENDING_DELAY_MAX_MS = 300_000

export interface ReleaseLimits {
  /** Attempts without an answer, after which the payment is parked. */
  attemptsMax: number
  /** How long after its first pending answer a payment is parked. Default 72 hours. */
  pendingMaxMs?: number | undefined
  random?: (() => number) | undefined
}

/** What becomes of a claimed payment that the provider's answer does not settle. */
export interface ReleasePlan {
  readonly cause: Cause
  readonly delayMsAfter: (counts: Counts) => number
  /** Whether the payment is parked instead of being tried again. */
  readonly isOver: (counts: Counts) => boolean
  /** For its dead letter. */
  readonly parkReason: string
}

export function planRelease(
  answer: Exclude<ProviderAnswer, Outcome>,
  earlier: Earlier,
  { attemptsMax, pendingMaxMs = PENDING_MAX_MS, random = Math.random }: ReleaseLimits,
): ReleasePlan {
  switch (answer.outcome) {
    case 'unknown': {
      const { reason, retryAfterMs = 0 } = answer
      const delayMsAfter = ({ attempts }: Counts) => Math.max(retryAfterMs, retryDelayMs(attempts, random))
      return {
        cause: 'unanswered',
        delayMsAfter,
        isOver: ({ attempts }) => attempts >= attemptsMax,
        parkReason: reason,
      }
    }
    case 'pending': {
      const { retryAfterMs } = answer
      const delayMsAfter = ({ pendingMs = 0 }: Counts) => pendingDelayMs(pendingMs, retryAfterMs)
      const isOver = ({ pendingMs = 0 }: Counts) => pendingMs > pendingMaxMs
      const parkReason = `the provider has not decided within PROVIDER_PENDING_MAX_MS (${pendingMaxMs})`
      return { cause: 'pending', delayMsAfter, isOver, parkReason }
    }
    case 'refused': {
      // Payments that were refused together come back at different times, each between answers to other payments.
      const delayMs = ANSWER_SHOWS_MS * (1 + random())
      if (!answer.othersAnswered) return uncounted(delayMs)
      const doubt = earlier.attempts > 0 || earlier.pending ? '; an earlier request may have charged it' : ''
      const parkReason = `the provider refused the payment ${REFUSALS_MAX} times: ${answer.reason}${doubt}`
      const isOver = ({ refusals }: Counts) => refusals >= REFUSALS_MAX
      return { cause: 'refused', delayMsAfter: () => delayMs, isOver, parkReason }
    }
    case 'misconfigured':
      return uncounted(MISCONFIGURED_DELAY_MS)
    case 'withheld':
      return uncounted(WITHHELD_DELAY_MS)
    default:
      return answer satisfies never
  }
}

function uncounted(delayMs: number): ReleasePlan {
  return { cause: 'uncounted', delayMsAfter: () => delayMs, isOver: () => false, parkReason: '' }
}

/**
 * When a provider is asked again that has not decided yet: when it said, but not within a second; otherwise after 30 s,
 * 1 min, 2 min, then every 5 min.
 *
 * @param pendingMs how long ago it first said that it has not decided
 */
export function pendingDelayMs(pendingMs: number, retryAfterMs: number | undefined): number {
  if (retryAfterMs !== undefined) return Math.max(PENDING_DELAY_MIN_MS, retryAfterMs)
  return PENDING_STEPS.find(({ untilMs }) => pendingMs < untilMs)?.delayMs ?? PENDING_DELAY_MAX_MS
}

import type { OutboxMessage } from './message.ts'
import type { PublishOutcome } from './publisher.ts'

export type Action =
  | { action: 'delete' }
  | { action: 'leave'; reason: 'refused' | 'unanswered' }
  /** Published again later, out of its order. */
  | { action: 'delay'; delayMs: number }
  /** The same, uncharged: its topic is refused, and messages of other topics get past it. */
  | { action: 'move'; delayMs: number }
  | { action: 'bury'; reason: string }

/** How often a message may come back unroutable before it becomes a dead letter: half an hour of trying on average. */
const ATTEMPTS_MAX = 20

const DELAY_FIRST_MS = 1_000
const DELAY_MAX_MS = 300_000

/**
 * What the outbox does with a message. Only what the broker says of the message itself is charged to it.
 *
 * @param moveMs how long messages of its topic that were nacked are moved out of the way, if they are
 */
export function decide(
  message: OutboxMessage,
  outcome: PublishOutcome,
  moveMs: number | undefined,
  random = Math.random,
): Action {
  switch (outcome.status) {
    case 'confirmed':
      return { action: 'delete' }
    case 'nacked':
      // A full queue says nothing of the message, nor of other topics. A full broker refuses them all.
      return moveMs === undefined ? { action: 'leave', reason: 'refused' } : { action: 'move', delayMs: moveMs }
    case 'unknown': // It may be there already, and is published again: receivers know duplicates by their id.
      return { action: 'leave', reason: 'unanswered' }
    case 'returned': {
      // Unroutable now may be a binding declared a second later.
      const attempts = message.attempts + 1
      if (attempts >= ATTEMPTS_MAX) return { action: 'bury', reason: outcome.reason }
      return { action: 'delay', delayMs: retryDelayMs(attempts, random) }
    }
    case 'rejected':
    case 'oversized': // It stays so, and each attempt costs those beside it their channel.
      return { action: 'bury', reason: outcome.reason }
    default:
      return outcome satisfies never
  }
}

/**
 * Exponential backoff with full jitter: between 0 and 1 s · 2^(attempts − 1), at most 5 minutes.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function retryDelayMs(attempts: number, random = Math.random): number {
  return Math.round(random() * Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** (attempts - 1)))
}

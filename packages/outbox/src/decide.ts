import type { OutboxMessage } from './message.ts'
import type { PublishOutcome } from './publisher.ts'

export type Action =
  | { action: 'delete' }
  | { action: 'leave'; reason: 'refused' | 'unanswered' }
  /** Published again later, out of its order. */
  | { action: 'delay'; delayMs: number; reason: 'refused' | 'unroutable' }
  | { action: 'bury'; reason: string }

/** How often a message may come back unroutable before it becomes a dead letter: half an hour of trying on average. */
const ATTEMPTS_MAX = 20

const DELAY_FIRST_MS = 1_000
const DELAY_MAX_MS = 300_000

/** What the outbox does with a message. Only what the broker says of the message itself is charged to it. */
export function decide(message: OutboxMessage, outcome: PublishOutcome, random = Math.random): Action {
  switch (outcome.status) {
    case 'confirmed':
      return { action: 'delete' }
    case 'nacked':
      // The queue of whoever listens is full: what concerns only him must not hold up what is behind it.
      if (!message.mandatory)
        return { action: 'delay', delayMs: retryDelayMs(message.attempts + 1, random), reason: 'refused' }
      // The broker is full or failing, whatever the message.
      return { action: 'leave', reason: 'refused' }
    case 'unknown': // It may be there already, and is published again: receivers know duplicates by their id.
      return { action: 'leave', reason: 'unanswered' }
    case 'returned': {
      // Unroutable now may be a binding declared a second later.
      const attempts = message.attempts + 1
      if (attempts >= ATTEMPTS_MAX) return { action: 'bury', reason: outcome.reason }
      return { action: 'delay', delayMs: retryDelayMs(attempts, random), reason: 'unroutable' }
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

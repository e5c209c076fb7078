import { setTimeout as sleep } from 'node:timers/promises'
import type { OutboxMessage } from './message.ts'
import type { Publisher, PublishOutcome } from './publisher.ts'

/** What is left of the deadline for publishing again. A shorter one would pass before a sound broker has confirmed. */
const AGAIN_MS_MIN = 1_000

const NOT_DECLARED: PublishOutcome = {
  status: 'unknown',
  reason: 'returned, and the routing could not be declared again',
}

/**
 * Publishes, and where messages come back unroutable restores the routing and publishes those once more: somebody may
 * have deleted a queue or a binding. All of it within the deadline. As long as the routing is not what it should be, a
 * return says nothing of the message.
 */
export async function publishRouted(
  publisher: Publisher,
  messages: readonly OutboxMessage[],
  deadlineMs: number,
): Promise<readonly PublishOutcome[]> {
  const endsAt = performance.now() + deadlineMs
  const leftMs = () => Math.max(0, endsAt - performance.now())
  const outcomes = await publisher.publish(messages, { deadlineMs })
  const returned = messages.filter((_, index) => outcomes[index]?.status === 'returned')
  if (returned.length === 0) return outcomes
  const tooLate = new AbortController()
  const declared = await Promise.race([
    publisher.redeclare(),
    sleep(Math.max(0, leftMs() - AGAIN_MS_MIN), false, { signal: tooLate.signal }),
  ])
  tooLate.abort()
  if (!declared) return outcomes.map((outcome) => (outcome.status === 'returned' ? NOT_DECLARED : outcome))
  const again = await publisher.publish(returned, { deadlineMs: leftMs() })
  const second = new Map(returned.map((message, index) => [message, again[index]]))
  return messages.map(
    (message, index) => second.get(message) ?? outcomes[index] ?? { status: 'unknown', reason: 'no outcome' },
  )
}

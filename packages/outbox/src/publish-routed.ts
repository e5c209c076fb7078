import { setTimeout as sleep } from 'node:timers/promises'
import type { OutboxMessage } from './message.ts'
import type { Publisher, PublishOutcome } from './publisher.ts'

/**
 * Publishes, and where messages come back unroutable restores the routing and publishes those once more: somebody may
 * have deleted a queue or a binding. All of it within the deadline.
 */
export async function publishRouted(
  publisher: Publisher,
  messages: readonly OutboxMessage[],
  deadlineMs: number,
): Promise<readonly PublishOutcome[]> {
  const endsAt = performance.now() + deadlineMs
  const outcomes = await publisher.publish(messages, { deadlineMs })
  const returned = messages.filter((_, index) => outcomes[index]?.status === 'returned')
  if (returned.length === 0) return outcomes
  const declared = await Promise.race([
    publisher.redeclare().then(
      () => true,
      () => false,
    ),
    sleep(Math.max(0, endsAt - performance.now()), false, { ref: false }),
  ])
  if (!declared) return outcomes
  const again = await publisher.publish(returned, { deadlineMs: Math.max(0, endsAt - performance.now()) })
  const second = new Map(returned.map((message, index) => [message, again[index]]))
  return messages.map(
    (message, index) => second.get(message) ?? outcomes[index] ?? { status: 'unknown', reason: 'no outcome' },
  )
}

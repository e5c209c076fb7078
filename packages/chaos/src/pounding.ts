import { WORK_TOPICS } from '@cashflow/domain'
import { createConnection, createPublisher, workQueue } from '@cashflow/messaging'
import type { Sighting } from './observer.ts'
import { WORK_QUEUE } from './queues.ts'
import { SILENT } from './silent.ts'

const PUBLISHERS = 2
const BATCH = 50
const CONFIRMED_MS = 2_000

/**
 * Publishes what was published before, over and over, and declares the queue again whenever a message comes back: what
 * relays do that have a lot to publish. Until the signal aborts.
 */
export async function pound(urls: readonly string[], messages: readonly Sighting[], signal: AbortSignal) {
  const batch = Array.from({ length: BATCH }, (_, index) => {
    const { messageId, topic, paymentId } = messages[index % messages.length] as Sighting
    const body = JSON.stringify({ payment_id: paymentId })
    return { messageId, key: paymentId, topic, body, headers: {}, mandatory: true }
  })
  const publishing = Array.from({ length: PUBLISHERS }, async () => {
    const connection = createConnection({ urls, name: 'chaos-pounder', logger: SILENT })
    const topology = workQueue({ queue: WORK_QUEUE, topics: WORK_TOPICS })
    const publisher = createPublisher({ connection, topology, logger: SILENT })
    await connection.start()
    await publisher.start()
    while (!signal.aborted) {
      const createdAt = new Date()
      const outcomes = await publisher.publish(
        batch.map((message) => ({ ...message, createdAt })),
        { deadlineMs: CONFIRMED_MS },
      )
      if (outcomes.some(({ status }) => status === 'returned')) await publisher.redeclare()
    }
    await publisher.stop()
    await connection.stop()
  })
  await Promise.all(publishing)
}

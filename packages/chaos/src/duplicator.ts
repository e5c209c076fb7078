import { defined } from '@cashflow/async'
import { WORK_TOPICS } from '@cashflow/domain'
import { createConnection, createPublisher, type Topology, workQueue } from '@cashflow/messaging'
import { nullLogger } from '@cashflow/testing'
import type { Sighting } from './observer.ts'
import { WORK_QUEUE } from './queues.ts'

const EXCHANGE: Topology = {
  exchange: 'payments',
  queue: '',
  deadLetterQueue: '',
  exchanges: [{ name: 'payments', type: 'topic' }],
  queues: [],
}
const READY_MS = 10_000
const CONFIRMED_MS = 10_000
const LOOP_PUBLISHERS = 2
const LOOP_BATCH = 50
const LOOP_CONFIRMED_MS = 2_000

/** Creates a publisher that publishes messages again, as a relay does that has lost their confirms. */
export async function createDuplicator(urls: readonly string[]) {
  const { publisher, stop } = await startPublisher(urls, 'chaos-duplicator', EXCHANGE)
  return {
    /** Resolves with the number of confirmed messages: 0 while no broker is reachable. */
    async publish(messages: readonly Sighting[], copies: number): Promise<number> {
      await publisher.whenReady(AbortSignal.timeout(READY_MS)).catch(() => {})
      const batch = messages.map((message) => toMessage(message, { mandatory: false }))
      const copied = Array.from({ length: copies }, () => batch).flat()
      const outcomes = await publisher.publish(copied, { deadlineMs: CONFIRMED_MS })
      return outcomes.filter(({ status }) => status === 'confirmed').length
    },
    stop,
  }
}

/**
 * Publishes the messages again and again, until the signal aborts. Declares the queue again when a message is returned, as
 * busy relays do.
 */
export async function republishInLoop(urls: readonly string[], messages: readonly Sighting[], signal: AbortSignal) {
  const sources = Array.from({ length: LOOP_BATCH }, (_, index) =>
    defined(messages[index % messages.length], 'message to publish'),
  )
  const topology = workQueue({ queue: WORK_QUEUE, topics: WORK_TOPICS })
  const publishing = Array.from({ length: LOOP_PUBLISHERS }, async () => {
    const { publisher, stop } = await startPublisher(urls, 'chaos-republisher', topology)
    while (!signal.aborted) {
      const batch = sources.map((source) => toMessage(source, { mandatory: true }))
      const outcomes = await publisher.publish(batch, { deadlineMs: LOOP_CONFIRMED_MS })
      if (outcomes.some(({ status }) => status === 'returned')) await publisher.redeclare()
    }
    await stop()
  })
  await Promise.all(publishing)
}

async function startPublisher(urls: readonly string[], name: string, topology: Topology) {
  const connection = createConnection({ urls, name, logger: nullLogger })
  const publisher = createPublisher({ connection, topology, logger: nullLogger })
  await connection.start()
  await publisher.start()
  return {
    publisher,
    async stop() {
      await publisher.stop()
      await connection.stop()
    },
  }
}

function toMessage({ messageId, topic, paymentId }: Sighting, { mandatory }: { mandatory: boolean }) {
  const body = JSON.stringify({ payment_id: paymentId })
  return { messageId, key: paymentId, topic, body, headers: {}, mandatory, createdAt: new Date() }
}

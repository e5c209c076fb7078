import { createConnection, createConsumer, type Delivery, type Topology } from '@cashflow/messaging'
import { eventually, nullLogger, type RabbitmqCluster } from '@cashflow/testing'
import { listQueues, OBSERVING_QUEUE } from './queues.ts'

export interface Sighting {
  readonly messageId: string
  readonly topic: string
  readonly paymentId: string
  /** The message's place in the order of first sightings. */
  readonly place: number
  /** Time of the first sighting, in milliseconds since 1970. */
  readonly at: number
}

/** A time in which the observer's queue was not bound to a topic, in milliseconds since 1970. */
export interface Unobserved {
  readonly topic: string
  readonly from: number
  readonly to: number
  /** Payments whose message of this topic was not yet published when the time began. */
  readonly waiting: ReadonlySet<string>
}

export type Observer = ReturnType<typeof createObserver>

const TOPICS = ['payment.created', 'payment.retry', 'payment.succeeded', 'payment.failed'] as const

const CATCH_UP_MS = 120_000

const TOPOLOGY: Topology = {
  exchange: 'payments',
  queue: OBSERVING_QUEUE,
  deadLetterQueue: OBSERVING_QUEUE,
  exchanges: [{ name: 'payments', type: 'topic' }],
  queues: [
    {
      name: OBSERVING_QUEUE,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 },
      boundTo: { exchange: 'payments', topics: TOPICS },
    },
  ],
}

/**
 * Records each message of a queue next to the worker's queue, which is bound to every topic. It connects to the brokers
 * directly, so that no fault of a link affects it.
 */
export function createObserver(cluster: RabbitmqCluster) {
  const urls = cluster.nodes.map(({ url }) => url)
  const sightings = new Map<string, Sighting>()
  const unobserved: Unobserved[] = []
  const connection = createConnection({ urls, name: 'chaos-observer', logger: nullLogger })
  const consumer = createConsumer({
    connection,
    topology: TOPOLOGY,
    queue: OBSERVING_QUEUE,
    prefetch: 1_000,
    logger: nullLogger,
    async handle({ messageId = '', topic, body }: Delivery) {
      const { payment_id: paymentId } = JSON.parse(body.toString()) as { payment_id: string }
      const place = sightings.size
      if (!sightings.has(messageId)) sightings.set(messageId, { messageId, topic, paymentId, place, at: Date.now() })
      return 'ack'
    },
  })

  return {
    /** The first sighting of each message, by message id. */
    sightings: sightings as ReadonlyMap<string, Sighting>,
    unobserved,
    /** Resolves when it has read every message that the broker has for it. */
    async caughtUp() {
      const expectEmpty = async () => {
        const own = (await listQueues(cluster)).find(({ name }) => name === OBSERVING_QUEUE)
        if (own?.messages !== 0 || own.consumers === 0) throw new Error('the observer has not caught up')
      }
      await eventually(expectEmpty, { timeoutMs: CATCH_UP_MS })
    },
    async start() {
      await connection.start()
      await consumer.start()
      await connection.whenReady()
    },
    async stop() {
      await consumer.stop()
      await connection.stop()
    },
  }
}

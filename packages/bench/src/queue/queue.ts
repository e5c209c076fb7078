import { WORK_TOPICS } from '@cashflow/domain'
import { type Topology, workQueue } from '@cashflow/messaging'
import type { NewMessage } from '@cashflow/outbox'
import { type ConsumeMessage, connect, type Options } from 'amqplib'

export const TOPOLOGY: Topology = workQueue({ queue: 'payments', topics: WORK_TOPICS })

// The fastest of four settings for a consumer. The others: 200 with an acknowledgement for each, 500 with one for 50, and
// 1,000 with one for 100.
const PREFETCH = 2_000
const ACKED_TOGETHER = 500

export type Queue = Awaited<ReturnType<typeof openQueue>>

export interface QueueState {
  /** Number of messages that wait for a consumer. */
  readonly depth: number
  readonly consumers: number
}

/** Observes the work queue, which must exist, on a separate connection. */
export async function openQueue(url: string) {
  const { channel, ...closing } = await openChannel(url)
  return {
    /** Reads the present state from the queue's leader. RabbitMQ's management API is seconds behind. */
    async state(): Promise<QueueState> {
      const { messageCount, consumerCount } = await channel.checkQueue(TOPOLOGY.queue)
      return { depth: messageCount, consumers: consumerCount }
    },
    ...closing,
  }
}

/** Consumes the next `count` messages of the work queue, in their order. */
export async function takeMessages(url: string, count: number, see: (body: Buffer) => void): Promise<void> {
  await using opened = await openChannel(url)
  const { channel } = opened
  await channel.prefetch(PREFETCH)
  await new Promise<void>((resolve, reject) => {
    channel.once('close', () => reject(new Error('the channel is closed')))
    let taken = 0
    const take = (message: ConsumeMessage | null) => {
      if (!message) return reject(new Error('the queue is gone'))
      taken += 1
      see(message.content)
      if (taken % ACKED_TOGETHER === 0 || taken === count) channel.ack(message, true)
      if (taken === count) resolve()
    }
    channel.consume(TOPOLOGY.queue, take).catch(reject)
  })
  // The broker answers this after the acknowledgements. The queue has no consumer then.
  await channel.close()
}

/**
 * Opens a publisher for peers and for prepared payments. Its messages are as persistent as the product's, and
 * confirmed.
 */
export async function openPublisher(url: string) {
  const { channel, ...closing } = await openChannel(url)
  return {
    /** Publishes a batch, and waits for its confirms. Concurrent calls share the channel. */
    async publish(messages: readonly NewMessage[]): Promise<void> {
      const now = new Date()
      const confirmed = messages.map((message) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        const onAnswer = (error: unknown) => (error ? reject(error) : resolve())
        channel.publish(TOPOLOGY.exchange, message.topic, bodyOf(message), propertiesOf(message, now), onAnswer)
        return promise
      })
      await Promise.all(confirmed)
    },
    ...closing,
  }
}

/** Returns the properties with which the product's relay publishes a message. */
export function propertiesOf({ messageId, topic, headers = {} }: NewMessage, createdAt: Date): Options.Publish {
  return {
    mandatory: true,
    persistent: true,
    contentType: 'application/json',
    messageId,
    type: topic,
    timestamp: Math.floor(createdAt.getTime() / 1_000),
    headers,
    correlationId: messageId,
  }
}

export function bodyOf({ payload }: NewMessage): Buffer {
  return Buffer.from(JSON.stringify(payload))
}

/** Declares the exchange and the queues of the product. */
export async function declareProductQueue(url: string): Promise<void> {
  await using opened = await openChannel(url)
  const { channel } = opened
  for (const { name, type } of TOPOLOGY.exchanges) await channel.assertExchange(name, type, { durable: true })
  for (const queue of TOPOLOGY.queues) {
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments })
    for (const topic of queue.boundTo.topics) await channel.bindQueue(queue.name, queue.boundTo.exchange, topic)
  }
}

/**
 * Opens a channel, with publisher confirms, on its own connection to RabbitMQ. The end of either rejects every pending
 * and every later request. The error events add nothing, and would end the process without a listener.
 */
export async function openChannel(url: string) {
  const connection = await connect(url, { noDelay: true })
  connection.on('error', () => {})
  const channel = await connection.createConfirmChannel()
  channel.on('error', () => {})
  return { channel, [Symbol.asyncDispose]: () => connection.close() }
}

/** Writes a log line as the services do. The benchmark waits for `ready`. */
export function log(message: string): void {
  process.stdout.write(`${JSON.stringify({ message })}\n`)
}

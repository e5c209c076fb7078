import { WORK_TOPICS } from '@cashflow/domain'
import { type Topology, workQueue } from '@cashflow/messaging'
import { type ChannelModel, connect } from 'amqplib'

export const TOPOLOGY: Topology = workQueue({ queue: 'payments', topics: WORK_TOPICS })

export type Queue = Awaited<ReturnType<typeof openQueue>>

export interface QueueState {
  /** Number of messages that wait for a consumer. */
  readonly depth: number
  readonly consumers: number
}

/** Observes the work queue, which must exist, on a separate connection. */
export async function openQueue(url: string) {
  const { connection, channel } = await openChannel(url)
  return {
    /** Reads the present state from the queue's leader. RabbitMQ's management API is seconds behind. */
    async state(): Promise<QueueState> {
      const { messageCount, consumerCount } = await channel.checkQueue(TOPOLOGY.queue)
      return { depth: messageCount, consumers: consumerCount }
    },
    close: () => connection.close(),
  }
}

/** Declares the exchange and the queues of the product. */
export async function declareProductQueue(url: string): Promise<void> {
  const { connection, channel } = await openChannel(url)
  for (const { name, type } of TOPOLOGY.exchanges) await channel.assertExchange(name, type, { durable: true })
  for (const queue of TOPOLOGY.queues) {
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments })
    for (const topic of queue.boundTo.topics) await channel.bindQueue(queue.name, queue.boundTo.exchange, topic)
  }
  await connection.close()
}

/**
 * Opens a channel, with publisher confirms, on its own connection to RabbitMQ. The end of either rejects every pending
 * and every later request. The error events add nothing, and would end the process without a listener.
 */
export async function openChannel(url: string) {
  const connection: ChannelModel = await connect(url, { noDelay: true })
  connection.on('error', () => {})
  const channel = await connection.createConfirmChannel()
  channel.on('error', () => {})
  return { connection, channel }
}

/** Writes a log line as the services do. The benchmark waits for `ready`. */
export function log(message: string): void {
  process.stdout.write(`${JSON.stringify({ message })}\n`)
}

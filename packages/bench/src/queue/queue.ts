import { WORK_TOPICS } from '@cashflow/domain'
import { type Topology, workQueue } from '@cashflow/messaging'
import type { Channel } from 'amqplib'
import { openConnection, withErrorListener } from './connection.ts'

export const TOPOLOGY: Topology = workQueue({ queue: 'payments', topics: WORK_TOPICS })

/** The work queue, observed on a separate connection. */
export interface Queue {
  /** Reads the present state from the queue's leader. RabbitMQ's management API is seconds behind. */
  state(): Promise<QueueState>
  close(): Promise<void>
}

export interface QueueState {
  /** Number of messages that wait for a consumer. */
  readonly depth: number
  readonly consumers: number
}

/** Opens the work queue, which must exist. */
export async function openQueue(url: string): Promise<Queue> {
  const connection = await openConnection(url)
  const channel = withErrorListener(await connection.createChannel())
  return {
    async state() {
      const { messageCount, consumerCount } = await channel.checkQueue(TOPOLOGY.queue)
      return { depth: messageCount, consumers: consumerCount }
    },
    close: () => connection.close(),
  }
}

/** Declares the exchange and the queues of the product. */
export async function declareProductQueue(url: string): Promise<void> {
  const connection = await openConnection(url)
  await declare(withErrorListener(await connection.createChannel()))
  await connection.close()
}

async function declare(channel: Channel): Promise<void> {
  for (const { name, type } of TOPOLOGY.exchanges) await channel.assertExchange(name, type, { durable: true })
  for (const queue of TOPOLOGY.queues) {
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments })
    for (const topic of queue.boundTo.topics) await channel.bindQueue(queue.name, queue.boundTo.exchange, topic)
  }
}

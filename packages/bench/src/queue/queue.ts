import { WORK_TOPICS } from '@cashflow/domain'
import { type Topology, workQueue } from '@cashflow/messaging'
import type { Channel } from 'amqplib'
import { heard, openConnection } from './connection.ts'

export const TOPOLOGY: Topology = workQueue({ queue: 'payments', topics: WORK_TOPICS })

/** The work queue as a bystander sees it, on a connection of its own. */
export interface Queue {
  /** Of the queue's leader, and now: RabbitMQ's management API is seconds behind. */
  state(): Promise<QueueState>
  close(): Promise<void>
}

export interface QueueState {
  /** Messages that wait for a consumer. */
  readonly depth: number
  readonly consumers: number
}

/** The queue has to exist. */
export async function openQueue(url: string): Promise<Queue> {
  const connection = await openConnection(url)
  const channel = heard(await connection.createChannel())
  return {
    async state() {
      const { messageCount, consumerCount } = await channel.checkQueue(TOPOLOGY.queue)
      return { depth: messageCount, consumers: consumerCount }
    },
    close: () => connection.close(),
  }
}

/** Declares what the product declares. */
export async function declareProductQueue(url: string): Promise<void> {
  const connection = await openConnection(url)
  await declare(heard(await connection.createChannel()))
  await connection.close()
}

async function declare(channel: Channel): Promise<void> {
  for (const { name, type } of TOPOLOGY.exchanges) await channel.assertExchange(name, type, { durable: true })
  for (const queue of TOPOLOGY.queues) {
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments })
    for (const topic of queue.boundTo.topics) await channel.bindQueue(queue.name, queue.boundTo.exchange, topic)
  }
}

import type { Channel } from 'amqplib/callback_api'
import { ask, closeChannel, type OpenChannel, openChannel, prepareChannel } from './channel.ts'
import type { ConnectionSupervisor } from './connection.ts'
import { isMissing } from './errors.ts'
import type { BrokerConnection } from './link.ts'

/** What must exist on the broker. Declaring is idempotent, and every connection does it anew: brokers lose disks. */
export interface Topology {
  /** Where messages are published. */
  readonly exchange: string
  readonly queue: string
  /** Where messages go that a consumer rejects. */
  readonly deadLetterQueue: string
  /** In the order of declaration. */
  readonly exchanges: readonly ExchangeDeclaration[]
  readonly queues: readonly QueueDeclaration[]
}

interface ExchangeDeclaration {
  readonly name: string
  readonly type: 'topic' | 'fanout'
}

interface QueueDeclaration {
  readonly name: string
  /** Equal from RabbitMQ 3.10 to 4.x, or two versions refuse each other's queue. What may be tuned is a policy's. */
  readonly arguments: Readonly<Record<string, string | number>>
  readonly boundTo: { readonly exchange: string; readonly topics: readonly string[] }
}

const DELIVERY_LIMIT = 100
// Its consumer dying over and over must not drop the last copy. Never -1: 3.10 accepts it and drops at the first requeue.
const DEAD_DELIVERY_LIMIT = 1_000_000

export interface WorkQueueOptions {
  queue: string
  /** Default: the queue's name. */
  exchange?: string | undefined
  /** Topics that the queue is bound to. */
  topics: readonly string[]
}

/** Quorum queues `<queue>` and `<queue>.dead`. The dead one comes first: dead lettering must have somewhere to go. */
export function workQueue({ queue, exchange = queue, topics }: WorkQueueOptions): Topology {
  const dead = `${queue}.dead`
  return {
    exchange,
    queue,
    deadLetterQueue: dead,
    exchanges: [
      { name: exchange, type: 'topic' },
      // Fanout: a poison message arrives whatever its routing key.
      { name: dead, type: 'fanout' },
    ],
    queues: [
      {
        name: dead,
        arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': DEAD_DELIVERY_LIMIT },
        boundTo: { exchange: dead, topics: [''] },
      },
      {
        name: queue,
        arguments: {
          'x-queue-type': 'quorum',
          'x-delivery-limit': DELIVERY_LIMIT,
          'x-dead-letter-exchange': dead,
          // At-least-once needs reject-publish: a full queue refuses, it does not drop.
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
        },
        boundTo: { exchange, topics },
      },
    ],
  }
}

/** @throws what the broker answers; 406 where something of that name exists with other arguments */
export async function declareTopology(channel: Channel, topology: Topology): Promise<void> {
  for (const { name, type } of topology.exchanges) {
    await ask((done) => channel.assertExchange(name, type, { durable: true }, done))
  }
  for (const queue of topology.queues) {
    await ask((done) => channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments }, done))
    for (const topic of queue.boundTo.topics) {
      await ask((done) => channel.bindQueue(queue.name, queue.boundTo.exchange, topic, {}, done))
    }
  }
}

export interface QueueState {
  /** Messages that no consumer was given. */
  readonly ready: number
  readonly consumers: number
}

/** Looks at a queue by a passive declare. On a channel of its own, which a missing one closes. */
export async function lookAtQueue(
  link: BrokerConnection,
  name: string,
  signal: AbortSignal,
  deadlineMs?: number,
): Promise<QueueState | 'missing'> {
  try {
    const look = ({ channel }: OpenChannel<Channel>) =>
      ask<{ messageCount: number; consumerCount: number }>((done) => channel.checkQueue(name, done))
    const [opened, { messageCount, consumerCount }] = await prepareChannel(link, openChannel, look, signal, deadlineMs)
    await closeChannel(link, opened)
    return { ready: messageCount, consumers: consumerCount }
  } catch (error) {
    if (isMissing(error)) return 'missing'
    throw error
  }
}

/** Whether the broker has an exchange of that name. On a channel of its own, which a missing one closes. */
export async function hasExchange(
  connection: ConnectionSupervisor,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const link = await connection.link(signal)
  try {
    const look = ({ channel }: OpenChannel<Channel>) => ask((done) => channel.checkExchange(name, done))
    const [opened] = await prepareChannel(link, openChannel, look, signal)
    await closeChannel(link, opened)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

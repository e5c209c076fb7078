import { errorMessage } from '@cashflow/async'
import type { Channel } from 'amqplib/callback_api'
import type { BrokerConnection } from './broker-connection.ts'
import { ask, onOwnChannel } from './channel.ts'
import type { ConnectionSupervisor } from './connection-supervisor.ts'
import { isMissing, isRefusal } from './errors.ts'

/** Exchanges and queues that must exist. Declaring is idempotent. Each new channel does it: a broker can lose its disk. */
export interface Topology {
  /** Exchange to which messages are published. */
  readonly exchange: string
  readonly queue: string
  /** Queue that receives the messages that a consumer rejects. */
  readonly deadLetterQueue: string
  /** Declared in this order, before the queues. */
  readonly exchanges: readonly ExchangeDeclaration[]
  readonly queues: readonly QueueDeclaration[]
}

interface ExchangeDeclaration {
  readonly name: string
  readonly type: 'topic' | 'fanout'
}

interface QueueDeclaration {
  readonly name: string
  /**
   * The same from RabbitMQ 3.10 to 4.x: RabbitMQ refuses a declaration whose arguments differ from the queue's. Limits
   * that an operator tunes belong into a policy.
   */
  readonly arguments: Readonly<Record<string, string | number>>
  readonly boundTo: { readonly exchange: string; readonly topics: readonly string[] }
}

const DELIVERY_LIMIT = 100
// RabbitMQ drops a dead letter that exceeds its limit, and it is the last copy. Not -1, which means unlimited in later
// versions: RabbitMQ 3.10 accepts -1 and drops the message at its first requeue.
const DEAD_DELIVERY_LIMIT = 1_000_000

export interface WorkQueueOptions {
  queue: string
  /** Default: the queue's name. */
  exchange?: string | undefined
  /** Topics that the queue is bound to. */
  topics: readonly string[]
}

/**
 * Quorum queues `<queue>` and `<queue>.dead` on the topic exchange `exchange`. Several queues may share an exchange: each
 * consumer's service declares its own.
 */
export function workQueue({ queue, exchange = queue, topics }: WorkQueueOptions): Topology {
  const dead = `${queue}.dead`
  return {
    exchange,
    queue,
    deadLetterQueue: dead,
    exchanges: [
      { name: exchange, type: 'topic' },
      // Fanout: a rejected message keeps its routing key, and every key must reach the dead letter queue.
      { name: dead, type: 'fanout' },
    ],
    queues: [
      // First: when the work queue begins to dead-letter, its target must exist.
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
          // `at-least-once` requires `reject-publish`: a full queue refuses a message instead of dropping one.
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
        },
        boundTo: { exchange, topics },
      },
    ],
  }
}

/** @throws the broker's refusal: 406 where a queue or an exchange of that name has other arguments */
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

/**
 * A component whose start waits until the broker has accepted the topology of each publisher and consumer. It has to be
 * the last component: the others work as far as the broker allows, and the process is not ready before.
 */
export function topologyComponent(...users: readonly { whenAccepted(signal: AbortSignal): Promise<void> }[]) {
  return {
    name: 'topology',
    async start(signal: AbortSignal): Promise<void> {
      await Promise.all(users.map((user) => user.whenAccepted(signal)))
    },
    async stop(): Promise<void> {},
  }
}

export interface QueueState {
  /** Messages that are not delivered to a consumer. */
  readonly ready: number
  readonly consumers: number
}

/** Looks at a queue by a passive declare. */
export async function lookAtQueue(
  broker: BrokerConnection,
  name: string,
  signal: AbortSignal,
  deadlineMs?: number,
): Promise<QueueState | 'missing'> {
  const check = (channel: Channel) =>
    ask<{ messageCount: number; consumerCount: number }>((done) => channel.checkQueue(name, done))
  const found = await orMissing(onOwnChannel(broker, check, signal, deadlineMs))
  return found === 'missing' ? found : { ready: found.messageCount, consumers: found.consumerCount }
}

/** Returns whether the broker has an exchange of that name. */
export async function hasExchange(connection: ConnectionSupervisor, name: string, signal: AbortSignal) {
  const broker = await connection.broker(signal)
  const check = (channel: Channel) => ask((done) => channel.checkExchange(name, done))
  return (await orMissing(onOwnChannel(broker, check, signal))) !== 'missing'
}

/**
 * Compares exchanges and queues that exist with a topology, and creates none. RabbitMQ tells a client of no bindings.
 *
 * @returns what is missing, and RabbitMQ's refusals of what exists with other arguments, or with another type
 */
export async function compareTopology(
  broker: BrokerConnection,
  { exchanges, queues }: Topology,
  signal: AbortSignal,
  deadlineMs?: number,
): Promise<string[]> {
  const differences: string[] = []
  const on = <Answer>(work: (channel: Channel) => Promise<Answer>) => onOwnChannel(broker, work, signal, deadlineMs)
  async function compare(name: string, look: (channel: Channel) => Promise<unknown>, declare: typeof look) {
    try {
      if ((await orMissing(on(look))) === 'missing') differences.push(`${name} is missing`)
      else await on(declare)
    } catch (error) {
      if (!isRefusal(error)) throw error
      differences.push(errorMessage(error))
    }
  }
  for (const { name, type } of exchanges)
    await compare(
      `exchange ${name}`,
      (channel) => ask((done) => channel.checkExchange(name, done)),
      (channel) => ask((done) => channel.assertExchange(name, type, { durable: true }, done)),
    )
  for (const { name, arguments: given } of queues)
    await compare(
      `queue ${name}`,
      (channel) => ask((done) => channel.checkQueue(name, done)),
      (channel) => ask((done) => channel.assertQueue(name, { durable: true, arguments: given }, done)),
    )
  return differences
}

async function orMissing<Answer>(answer: Promise<Answer>): Promise<Answer | 'missing'> {
  try {
    return await answer
  } catch (error) {
    if (isMissing(error)) return 'missing'
    throw error
  }
}

import { type Channel, connect } from 'amqplib/callback_api'
import { ask } from '../src/channel.ts'
import {
  type AckDecision,
  type ConfirmPublisher,
  type ConnectionOptions,
  type ConnectionSupervisor,
  type ConsumerOptions,
  createConnection,
  createConsumer,
  createPublisher,
  type Delivery,
  workQueue,
} from '../src/index.ts'
import { onCleanUp } from './cleanup.ts'
import { createRecorder } from './recorder.ts'

export type Rig = ReturnType<typeof createRig>

/** A connection with whatever a test puts on it, and one `stop` for all of it, in the right order. Cleaned up after the test. */
export function createRig(urls: readonly string[], options: Partial<ConnectionOptions> & { queue?: string } = {}) {
  const logger = createRecorder()
  const { queue = 'payments', ...connectionOptions } = options
  const topology = workQueue({ queue, topics: ['payment.created', 'payment.retry'] })
  const parts: { start(): Promise<void>; stop(): Promise<void> }[] = []
  const add = <Part extends ConnectionSupervisor | ConfirmPublisher | ReturnType<typeof createConsumer>>(
    part: Part,
  ): Part => {
    parts.push(part)
    part.start()
    return part
  }
  const connection = add(createConnection({ urls, name: 'messaging test', logger, ...connectionOptions }))
  const stop = async () => {
    for (const part of parts.toReversed()) await part.stop()
  }
  onCleanUp(stop)
  return {
    connection,
    logger,
    topology,
    publisher: (limits: { windowMax?: number; refusedMaxMs?: number } = {}) =>
      add(createPublisher({ connection, topology, logger, ...limits })),
    consumer: (
      handle: (delivery: Delivery) => Promise<AckDecision>,
      { from = queue, prefetch = 10, ...more }: Partial<ConsumerOptions> & { from?: string } = {},
    ) => add(createConsumer({ connection, topology, queue: from, prefetch, handle, logger, ...more })),
    stop,
  }
}

/** Does something to the broker on a plain channel of its own. */
export async function onChannel<Answer>(url: string, work: (channel: Channel) => Promise<Answer>): Promise<Answer> {
  const connection = await ask<import('amqplib/callback_api').Connection>((done) => connect(url, done))
  connection.on('error', () => {})
  try {
    const channel = await ask<Channel>((done) => connection.createChannel(done))
    channel.on('error', () => {})
    return await work(channel)
  } finally {
    connection.close()
  }
}

export async function depth(url: string, queue: string): Promise<number> {
  return onChannel(url, async (channel) => {
    const { messageCount } = await ask<{ messageCount: number }>((done) => channel.checkQueue(queue, done))
    return messageCount
  })
}

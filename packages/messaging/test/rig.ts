import { randomUUID } from 'node:crypto'
import { recordingLogger, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { type Channel, type Connection, connect } from 'amqplib/callback_api'
import { ask } from '../src/channel.ts'
import {
  type AckDecision,
  type ConfirmPublisher,
  type ConnectionOptions,
  type ConnectionSupervisor,
  type Consumer,
  type ConsumerOptions,
  createConnection,
  createConsumer,
  createPublisher,
  type Delivery,
  type OutboundMessage,
  type WorkQueueOptions,
  workQueue,
} from '../src/index.ts'

export type Rig = ReturnType<typeof createRig>

/** A connection, with the publishers and consumers that a test adds to it. `stop` stops all. Stopped after the test. */
export function createRig(urls: readonly string[], options: Partial<ConnectionOptions & WorkQueueOptions> = {}) {
  const logger = createRecorder()
  const { queue = 'payments', exchange, topics = ['payment.created', 'payment.retry'], ...connectionOptions } = options
  const topology = workQueue({ queue, exchange, topics })
  const components: { start(): Promise<void>; stop(): Promise<void> }[] = []
  const add = <Component extends ConnectionSupervisor | ConfirmPublisher | Consumer>(
    component: Component,
  ): Component => {
    components.push(component)
    component.start()
    return component
  }
  const connection = add(createConnection({ urls, name: 'messaging test', logger, ...connectionOptions }))
  const stop = async () => {
    for (const component of components.toReversed()) await component.stop()
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

/** Does `work` on a plain channel of a connection of its own. */
export async function onChannel<Answer>(url: string, work: (channel: Channel) => Promise<Answer>): Promise<Answer> {
  const connection = await ask<Connection>((done) => connect(url, done))
  connection.on('error', () => {})
  try {
    const channel = await ask<Channel>((done) => connection.createChannel(done))
    channel.on('error', () => {})
    return await work(channel)
  } finally {
    connection.close()
  }
}

/** Number of the queue's ready messages. */
export async function depth(url: string, queue: string): Promise<number> {
  return onChannel(url, async (channel) => {
    const { messageCount } = await ask<{ messageCount: number }>((done) => channel.checkQueue(queue, done))
    return messageCount
  })
}

export function message(changes: Partial<OutboundMessage> = {}): OutboundMessage {
  return {
    messageId: randomUUID(),
    key: randomUUID(),
    topic: 'payment.created',
    body: '{"payment_id":"0199b6a0-0000-7000-8000-000000000000"}',
    headers: {},
    mandatory: true,
    createdAt: new Date('2026-01-02T03:04:05.678Z'),
    ...changes,
  }
}

/** A TCP proxy in front of the broker. Stopped after the test. */
export async function createProxy(url: string): Promise<TcpProxy> {
  const proxy = await startTcpProxy(url)
  onCleanUp(() => proxy.stop())
  return proxy
}

/** A logger that keeps its lines. `logged(message)` returns the lines with this message. */
function createRecorder() {
  const { logger, lines, linesOf } = recordingLogger()
  return { ...logger, lines, logged: linesOf }
}

const pending: (() => Promise<unknown>)[] = []

/** Registers a function that the next `cleanUp` runs, also when the test fails before its end. */
export function onCleanUp(undo: () => Promise<unknown>): void {
  pending.push(undo)
}

/** Runs the registered functions, the last one first. For `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (let undo = pending.pop(); undo; undo = pending.pop()) await undo()
}

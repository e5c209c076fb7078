import type { Channel } from 'amqplib/callback_api'
import { closeChannel, type Opened, openChannel, prepareChannel } from './channel.ts'
import type { Connection } from './connection.ts'
import { createDeliverySession, type DeliveryOptions } from './delivery-session.ts'
import { keepChannel } from './keep-channel.ts'
import type { Link } from './link.ts'
import { declareTopology, type Topology } from './topology.ts'
import { aborted } from './waiting.ts'

const STOP_DEADLINE_MS = 10_000

export interface ConsumerOptions extends DeliveryOptions {
  connection: Connection
  topology: Topology
}

export interface Consumer {
  readonly name: string
  /** Resolves at once; deliveries come as soon as there is a broker. */
  start(): Promise<void>
  /** Takes no more, gives back what is not being handled, waits for the rest at most `deadlineMs` (10,000). */
  stop(limits?: { deadlineMs?: number }): Promise<void>
}

export function createConsumer({ connection, topology, ...options }: ConsumerOptions): Consumer {
  const stopping = new AbortController()
  const name = `consumer of ${options.queue}`
  let deadlineMs = STOP_DEADLINE_MS
  let running: Promise<void> | undefined

  async function setUp(opened: Opened<Channel>) {
    await declareTopology(opened.channel, topology)
    const session = createDeliverySession(opened, options)
    await session.consume()
    return session
  }

  async function hold(link: Link): Promise<void> {
    const [opened, session] = await prepareChannel(link, openChannel, setUp, stopping.signal)
    await aborted(session.over, stopping.signal)
    if (!session.over.aborted) await session.drain(deadlineMs)
    const reason = session.over.reason
    session.end()
    await closeChannel(link, opened)
    if (!stopping.signal.aborted) throw reason
  }

  return {
    name,
    async start() {
      running ??= keepChannel({ connection, logger: options.logger, name, hold }, stopping.signal)
    },
    async stop(limits = {}) {
      deadlineMs = limits.deadlineMs ?? deadlineMs
      if (!stopping.signal.aborted) stopping.abort(new Error('the consumer was stopped'))
      await running
    },
  }
}

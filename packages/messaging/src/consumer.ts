import type { Channel } from 'amqplib/callback_api'
import { closeChannel, type OpenChannel, openChannel, prepareChannel } from './channel.ts'
import type { ConnectionSupervisor } from './connection.ts'
import { createConsumerWatch, type WatchTimes } from './consumer-watch.ts'
import { createDeliverySession, type DeliveryOptions, type DeliverySession } from './delivery-session.ts'
import { createHand } from './hand.ts'
import { superviseChannel } from './keep-channel.ts'
import type { BrokerConnection } from './link.ts'
import { declareTopology, type Topology } from './topology.ts'
import { aborted, createLatch } from './waiting.ts'

const STOP_DEADLINE_MS = 10_000

export interface ConsumerOptions extends DeliveryOptions {
  connection: ConnectionSupervisor
  topology: Topology
  /** When to ask whether the broker has forgotten the consumer. */
  watchTimes?: WatchTimes
}

export interface Consumer {
  readonly name: string
  /** Resolves at once; deliveries come as soon as there is a broker. */
  start(): Promise<void>
  /**
   * Resolves when the broker has accepted topology and consumer for the first time.
   *
   * @throws the signal's reason, or an error when the consumer is stopped
   */
  whenAccepted(signal?: AbortSignal): Promise<void>
  /** Takes no more, gives back what is not being handled, waits for the rest at most `deadlineMs` (10,000). */
  stop(limits?: { deadlineMs?: number }): Promise<void>
}

export function createConsumer({ connection, topology, watchTimes, ...options }: ConsumerOptions): Consumer {
  const stopping = new AbortController()
  const name = `consumer of ${options.queue}`
  const hand = createHand(options.prefetch)
  const accepted = createLatch<true>(stopping.signal)
  const watch = createConsumerWatch({ ...options, times: watchTimes })
  /** Channels that the broker delivers nothing to any more, until what is in hand is settled on them. */
  const retiring = new Set<Promise<void>>()
  let deadlineMs = STOP_DEADLINE_MS
  let running: Promise<void> | undefined

  async function setUp(opened: OpenChannel<Channel>) {
    await declareTopology(opened.channel, topology)
    const session = createDeliverySession(opened, options, hand)
    await session.consume()
    return session
  }

  async function hold(link: BrokerConnection): Promise<void> {
    const opening = () => openChannel(link, options.bodyBytesMax)
    const [opened, session] = await prepareChannel(link, opening, setUp, stopping.signal)
    accepted.open(true)
    const ended = endWhenOver(link, opened, session)
    const isForgotten = await Promise.race([
      watch.isForgotten(link, session, stopping.signal),
      aborted(session.over, stopping.signal).then(() => false),
    ])
    if (isForgotten) {
      session.retire().then(session.end)
      retiring.add(ended)
      ended.then(() => retiring.delete(ended))
      return
    }
    await ended
    if (!stopping.signal.aborted) throw session.over.reason
  }

  async function endWhenOver(
    link: BrokerConnection,
    opened: OpenChannel<Channel>,
    session: DeliverySession,
  ): Promise<void> {
    await aborted(session.over, stopping.signal)
    if (!session.over.aborted) await session.drain(deadlineMs)
    session.end()
    await closeChannel(link, opened)
  }

  return {
    name,
    async start() {
      running ??= superviseChannel({ connection, logger: options.logger, name, hold }, stopping.signal)
    },
    async whenAccepted(signal) {
      await accepted.wait(signal)
    },
    async stop(limits = {}) {
      deadlineMs = limits.deadlineMs ?? deadlineMs
      if (!stopping.signal.aborted) stopping.abort(new Error('the consumer was stopped'))
      await running
      await Promise.all(retiring)
    },
  }
}

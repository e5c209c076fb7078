import type { Channel } from 'amqplib/callback_api'
import { closeChannel, type Opened, openChannel, prepareChannel } from './channel.ts'
import type { Connection } from './connection.ts'
import { createDeliverySession, type DeliveryOptions, type DeliverySession } from './delivery-session.ts'
import { createDeliveryWatch, type WatchTimes } from './delivery-watch.ts'
import { createHand } from './hand.ts'
import { keepChannel } from './keep-channel.ts'
import type { Link } from './link.ts'
import { declareTopology, type Topology } from './topology.ts'
import { aborted, createGate } from './waiting.ts'

const STOP_DEADLINE_MS = 10_000

export interface ConsumerOptions extends DeliveryOptions {
  connection: Connection
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
  const accepted = createGate<true>(stopping.signal)
  const watch = createDeliveryWatch({ ...options, times: watchTimes })
  /** Channels that the broker delivers nothing to any more, until what is in hand is settled on them. */
  const retiring = new Set<Promise<void>>()
  let deadlineMs = STOP_DEADLINE_MS
  let running: Promise<void> | undefined

  async function setUp(opened: Opened<Channel>) {
    await declareTopology(opened.channel, topology)
    const session = createDeliverySession(opened, options, hand)
    await session.consume()
    return session
  }

  async function hold(link: Link): Promise<void> {
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

  async function endWhenOver(link: Link, opened: Opened<Channel>, session: DeliverySession): Promise<void> {
    await aborted(session.over, stopping.signal)
    if (!session.over.aborted) await session.drain(deadlineMs)
    session.end()
    await closeChannel(link, opened)
  }

  return {
    name,
    async start() {
      running ??= keepChannel({ connection, logger: options.logger, name, hold }, stopping.signal)
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

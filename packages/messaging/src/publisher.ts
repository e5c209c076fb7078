import { defined, errorMessage } from '@cashflow/async'
import { type ConfirmChannel, IllegalOperationError } from 'amqplib/callback_api'
import { returnReason } from './amqplib-internals.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { closeChannel, type OpenChannel, onOwnChannel, openConfirmChannel, prepareChannel } from './channel.ts'
import { superviseChannel } from './channel-supervisor.ts'
import type { ConnectionSupervisor } from './connection-supervisor.ts'
import { blamesMessage, messageBytesMax } from './errors.ts'
import { createLatch } from './latch.ts'
import type { Logger } from './logger.ts'
import { type OutboundMessage, type PublishOutcome, propertiesOf } from './outbound-message.ts'
import { type Batch, PublishWindow, type SendingChannel } from './publish-window.ts'
import { createSuspects } from './suspects.ts'
import { declareTopology, type Topology } from './topology.ts'

const CONFIRMED: PublishOutcome = { status: 'confirmed' }
const NACKED: PublishOutcome = { status: 'nacked' }

export interface PublisherOptions {
  connection: ConnectionSupervisor
  topology: Topology
  logger: Logger
  /** Maximum number of messages sent and not yet confirmed, over all calls. Default 1,024. */
  windowMax?: number
  /** Time that the broker may nack all messages of a topic before a new channel is opened. Default: 10,000 ms. */
  refusedMaxMs?: number
}

export type ConfirmPublisher = ReturnType<typeof createPublisher>

export function createPublisher(options: PublisherOptions) {
  const { connection, topology, logger, windowMax = 1024 } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const accepted = createLatch<true>(signal)
  const window = new PublishWindow(windowMax, createSuspects(logger), signal)
  let current: BrokerConnection | undefined
  let running: Promise<void> | undefined

  async function setUp(opened: OpenChannel<ConfirmChannel>): Promise<ConfirmSession> {
    await declareTopology(opened.channel, topology)
    return new ConfirmSession(opened, options, window)
  }

  async function runChannel(broker: BrokerConnection): Promise<void> {
    const [opened, session] = await prepareChannel(broker, openConfirmChannel, setUp, signal)
    const { closed, stale } = session
    accepted.open(true)
    current = broker
    await window.sendOn(session, broker)
    current = undefined
    if (!closed.aborted) {
      const facts = { host: broker.endpoint.name, reason: stale.reason }
      if (stale.aborted) logger.warn('RabbitMQ keeps refusing messages, opening a new channel', facts)
      return closeChannel(broker, opened)
    }
    const blamed = blamesMessage(closed.reason, broker.closed.aborted ? 'connection' : 'channel')
    // Without the culprit the next channel may live. It is opened at once, and calls with nothing in flight continue on it.
    if (!session.failInFlight(closed.reason, blamed)) throw closed.reason
  }

  return {
    name: 'publisher',
    /** Resolves at once. `whenReady` waits until it can publish. */
    async start(): Promise<void> {
      running ??= superviseChannel({ connection, logger, name: 'publisher', runChannel }, signal)
    },
    /** Accepts no more calls, and waits for those accepted, each until its own deadline. */
    async stop(): Promise<void> {
      await window.drain()
      if (!signal.aborted) stopping.abort(new Error('the publisher was stopped'))
      await running
    },
    /** True while it is connected, the topology is declared, the channel is open, and no alarm blocks it. */
    get ready(): boolean {
      return window.ready
    },
    /** Messages sent and not answered. */
    get inFlight(): number {
      return window.inFlight
    },
    /** Number of messages so far, by the status of their outcome. */
    outcomes: window.outcomes as Readonly<typeof window.outcomes>,
    /** @throws the signal's reason, or an error when the publisher is stopped */
    whenReady: (signal?: AbortSignal): Promise<void> => window.whenReady(signal),
    /** Resolves when the broker has accepted the topology for the first time, also while it blocks publishing. */
    whenAccepted: async (signal?: AbortSignal): Promise<void> => void (await accepted.wait(signal)),
    /**
     * Publishes messages. Resolves with one outcome for each, at its index, no later than the deadline. Never rejects.
     *
     * When the channel is lost, a call with messages in flight sends no more. Otherwise a message could overtake an earlier
     * one whose outcome is unknown.
     */
    publish(messages: readonly OutboundMessage[], { deadlineMs }: { deadlineMs: number }): Promise<PublishOutcome[]> {
      return window.publish(messages, deadlineMs)
    },
    /** Declares the topology again, after a return. Resolves with false, and logs why, if it failed. Never rejects. */
    async redeclare(): Promise<boolean> {
      const broker = current
      if (!broker) return false
      try {
        await onOwnChannel(broker, (channel) => declareTopology(channel, topology), signal)
        logger.warn('messages were returned, the topology is declared again', { host: broker.endpoint.name })
        return true
      } catch (error) {
        logger.error('could not declare the topology', { host: broker.endpoint.name, reason: errorMessage(error) })
        return false
      }
    },
  }
}

interface InFlight {
  readonly batch: Batch
  readonly place: number
  readonly message: OutboundMessage
  returned: string | undefined
}

/** The messages that one confirm channel has sent and the broker has not answered. */
class ConfirmSession implements SendingChannel {
  readonly #channel: ConfirmChannel
  readonly #exchange: string
  readonly #refusedMaxMs: number
  readonly #window: PublishWindow
  /** Messages by delivery tag, hence in the order of publishing. */
  readonly #inFlight = new Map<number, InFlight>()
  #lastTag = 0
  /** True if the last message was sent alone. */
  #alone = false
  /** Times by topic, the oldest first: all its messages are nacked since then. Queues of other topics may have room. */
  readonly #nackedSince = new Map<string, number>()
  readonly #stale = new AbortController()
  readonly closed: AbortSignal
  /**
   * Aborted when all messages of a topic have been nacked for `refusedMaxMs`, and nothing is in flight. A channel on which
   * RabbitMQ has refused messages for a full queue may miss that the queue has room again, and refuse messages itself.
   */
  readonly stale = this.#stale.signal
  congested = false

  constructor(
    { channel, closed }: OpenChannel<ConfirmChannel>,
    { topology, refusedMaxMs = 10_000 }: PublisherOptions,
    window: PublishWindow,
  ) {
    this.#channel = channel
    this.closed = closed
    this.#exchange = topology.exchange
    this.#refusedMaxMs = refusedMaxMs
    this.#window = window
    channel.on('ack', ({ deliveryTag, multiple }) => this.#answered(deliveryTag, multiple, CONFIRMED))
    channel.on('nack', ({ deliveryTag, multiple }) => this.#answered(deliveryTag, multiple, NACKED))
    channel.on('return', (message) => {
      const sent = this.#inFlight.get(Number(message.properties.correlationId))
      if (sent) sent.returned = returnReason(message)
    })
    channel.on('drain', () => {
      this.congested = false
      this.#window.send()
    })
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  get awaitsLone(): boolean {
    return this.#alone && this.#inFlight.size > 0
  }

  sendNext(batch: Batch, alone: boolean): void {
    const place = batch.next++
    const message = defined(batch.messages[place], 'message left to send')
    const tag = this.#lastTag + 1
    try {
      const body = Buffer.from(message.body)
      this.congested = !this.#channel.publish(this.#exchange, message.topic, body, propertiesOf(message, tag))
      this.#inFlight.set(tag, { batch, place, message, returned: undefined })
      this.#lastTag = tag
      this.#alone = alone
    } catch (error) {
      if (error instanceof IllegalOperationError) batch.giveUp(errorMessage(error))
      // No frame can hold it: over 64 KiB of headers, or 255 bytes of topic. Nothing was written, and a retry cannot help.
      else batch.settle(place, { status: 'oversized', reason: errorMessage(error) })
    }
  }

  #answered(tag: number, multiple: boolean, outcome: PublishOutcome): void {
    if (multiple) {
      for (const earlier of this.#inFlight.keys()) {
        if (earlier > tag) break
        this.#settle(earlier, outcome)
      }
    } else this.#settle(tag, outcome)
    if (this.#inFlight.size === 0) this.#checkStale()
    this.#window.send()
  }

  #settle(tag: number, outcome: PublishOutcome): void {
    const sent = this.#inFlight.get(tag)
    if (!sent) return
    this.#inFlight.delete(tag)
    const { batch, place, message, returned } = sent
    if (this.#alone) this.#window.suspects.clear(message, { confirmed: outcome === CONFIRMED })
    if (outcome !== NACKED) this.#nackedSince.delete(message.topic)
    else if (!this.#nackedSince.has(message.topic)) this.#nackedSince.set(message.topic, performance.now())
    // The broker returns an unroutable message, and then confirms it.
    batch.settle(place, returned === undefined ? outcome : { status: 'returned', reason: returned })
  }

  #checkStale(): void {
    const [oldest] = this.#nackedSince
    if (!oldest) return
    const [topic, since] = oldest
    const refusedMs = performance.now() - since
    if (refusedMs >= this.#refusedMaxMs) this.#stale.abort(`refused every ${topic} for ${Math.round(refusedMs)} ms`)
  }

  /**
   * Settles what was in flight when the channel was lost. A culprit is rejected, and its batch continues. Any other batch
   * ends: its messages are oversized where they exceed the broker's limit, else unknown. Returns whether there was a culprit.
   *
   * @param blamed whether the broker closed the channel over a message
   */
  failInFlight(cause: unknown, blamed: boolean): boolean {
    const reason = errorMessage(cause)
    const bytesMax = messageBytesMax(cause)
    const sent = [...this.#inFlight.values()]
    this.#inFlight.clear()
    const messages = sent.map(({ message }) => message)
    if (blamed && bytesMax === undefined && this.#window.suspects.blame(messages, { alone: this.#alone, reason })) {
      for (const { batch, place } of sent) batch.settle(place, { status: 'rejected', reason })
      return true
    }
    for (const { batch } of sent) {
      if (bytesMax !== undefined) batch.settleOversized(bytesMax)
      batch.giveUp(reason)
    }
    return false
  }
}

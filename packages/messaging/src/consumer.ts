import { aborted, createLimiter, errorMessage, type Limiter, within } from '@cashflow/async'
import type { Channel, ConsumeMessage } from 'amqplib/callback_api'
import { createAcknowledgements } from './acknowledgements.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { ask, closeChannel, type OpenChannel, openChannel, prepareChannel } from './channel.ts'
import { superviseChannel } from './channel-supervisor.ts'
import type { ConnectionSupervisor } from './connection-supervisor.ts'
import { createConsumerWatch, type WatchedConsumer, type WatchTimes } from './consumer-watch.ts'
import { type DeliveryOptions, toDelivery } from './delivery.ts'
import { createLatch } from './latch.ts'
import { createPauseSwitch } from './pause-switch.ts'
import { declareTopology, type Topology } from './topology.ts'

const CANCELLING = { deadlineMs: 10_000, what: 'cancelling the consumer' }

export interface ConsumerOptions extends DeliveryOptions {
  connection: ConnectionSupervisor
  topology: Topology
  /** When the watch looks for a consumer that RabbitMQ has forgotten. */
  watchTimes?: WatchTimes
  /** Returns whether a consumer without deliveries may be healthy, as during an operator's pause. Default: never. */
  isWatchPaused?: () => boolean
}

export type Consumer = ReturnType<typeof createConsumer>

export function createConsumer(options: ConsumerOptions) {
  const { connection, topology, queue, prefetch, bodyBytesMax, logger, watchTimes, isWatchPaused } = options
  const stopping = new AbortController()
  const name = `consumer of ${queue}`
  const limiter = createLimiter({ runningMax: prefetch })
  const accepted = createLatch<true>(stopping.signal)
  const watch = createConsumerWatch({ queue, logger, times: watchTimes, isPaused: isWatchPaused })
  /** One promise for each former channel: the broker delivers nothing on it, and its last deliveries are still handled. */
  const retiring = new Set<Promise<void>>()
  const pauses = createPauseSwitch()
  let deadlineMs = 10_000
  let running: Promise<void> | undefined

  const opening = (broker: BrokerConnection) => openChannel(broker, bodyBytesMax)

  async function setUp(opened: OpenChannel<Channel>): Promise<Subscription> {
    await declareTopology(opened.channel, topology)
    return new Subscription(opened, options, limiter).consume()
  }

  async function runChannel(broker: BrokerConnection): Promise<void> {
    const { paused } = pauses
    if (paused.aborted) return await waitForResume(broker)
    const [opened, subscription] = await prepareChannel(broker, opening, setUp, stopping.signal)
    accepted.open(true)
    const closed = closeWhenEnded(broker, opened, subscription)
    const isForgotten = await watch.isForgotten(broker, subscription, AbortSignal.any([stopping.signal, paused]))
    if (paused.aborted) subscription.beginNoMore()
    if (isForgotten || paused.aborted) {
      subscription.retire()
      retiring.add(closed)
      closed.then(() => retiring.delete(closed))
      return
    }
    await closed
    if (!stopping.signal.aborted) throw subscription.ended.reason
  }

  /** Declares the topology, so that relays find the queue, and consumes nothing until the end of the pause. */
  async function waitForResume(broker: BrokerConnection): Promise<void> {
    const { resumed } = pauses
    const declare = ({ channel }: OpenChannel<Channel>) => declareTopology(channel, topology)
    const [opened] = await prepareChannel(broker, opening, declare, stopping.signal)
    accepted.open(true)
    await aborted(opened.closed, resumed, stopping.signal)
    opened.closed.throwIfAborted()
    await closeChannel(broker, opened)
  }

  async function closeWhenEnded(broker: BrokerConnection, opened: OpenChannel<Channel>, subscription: Subscription) {
    await aborted(subscription.ended, stopping.signal)
    if (!subscription.ended.aborted) await subscription.drain(deadlineMs)
    subscription.end()
    await closeChannel(broker, opened)
  }

  return {
    name,
    loops: watch.loops,
    /** Number of subscriptions that replaced one that RabbitMQ had forgotten. */
    get resubscriptions(): number {
      return watch.resubscriptions
    },
    /** Resolves at once. Deliveries begin when a broker is connected. */
    async start(): Promise<void> {
      running ??= superviseChannel({ connection, logger, name, runChannel }, stopping.signal)
    },
    /** Resolves when the broker has accepted topology and consumer for the first time. Rejects on `signal` and `stop`. */
    whenAccepted: async (signal?: AbortSignal): Promise<void> => void (await accepted.wait(signal)),
    /** Cancels the consumer at the broker. Deliveries whose work has begun are settled as always, others return to their queue at once. */
    pause: pauses.pause,
    resume: pauses.resume,
    /** Starts no more handlers, and waits at most `deadlineMs` (10,000) for those that run. Others return to the queue at once. */
    async stop(limits: { deadlineMs?: number } = {}): Promise<void> {
      deadlineMs = limits.deadlineMs ?? deadlineMs
      if (!stopping.signal.aborted) stopping.abort(new Error('the consumer was stopped'))
      await running
      await Promise.all(retiring)
    },
  }
}

/** The deliveries of one channel. They are settled on it or not at all: a delivery tag has no meaning on another one. */
class Subscription implements WatchedConsumer {
  readonly #channel: Channel
  readonly #options: DeliveryOptions
  // Of all channels: the broker counts each one by itself. A consumer that subscribes again while deliveries of its last
  // channel are being handled would otherwise handle twice its prefetch.
  readonly #limiter: Limiter
  readonly #acknowledgements: ReturnType<typeof createAcknowledgements>
  readonly #ending = new AbortController()
  readonly #handling = new Set<Promise<void>>()
  readonly #draining = new AbortController()
  /** Slots of the limiter that this channel's deliveries hold. */
  #slots = 0
  #cancelled: Promise<void> | undefined
  /** Deliveries whose handlers did not begin their work. Undefined once the broker has cancelled the consumer. */
  #unbegun: ConsumeMessage[] | undefined = []
  received = 0
  /** Aborted when the channel is closed, the broker cancelled the consumer, a handler threw, or `end` was called. */
  readonly ended = this.#ending.signal

  constructor({ channel, closed }: OpenChannel<Channel>, options: DeliveryOptions, limiter: Limiter) {
    this.#channel = channel
    this.#options = options
    this.#limiter = limiter
    this.#acknowledgements = createAcknowledgements(channel, (error) => this.#ending.abort(error))
    closed.addEventListener('abort', () => this.#ending.abort(closed.reason))
    // The next channel receives these deliveries again. It must not wait for handlers that may never end.
    this.ended.addEventListener('abort', () => this.#release(this.#slots))
    this.ended.addEventListener('abort', () => this.beginNoMore())
  }

  get hasRoom(): boolean {
    return this.#acknowledgements.unsettled < this.#options.prefetch
  }

  async consume(): Promise<this> {
    const { queue, prefetch } = this.#options
    await ask((done) => this.#channel.prefetch(prefetch, false, done))
    await ask((done) => this.#channel.consume(queue, (message) => this.#receive(message), { consumerTag: queue }, done))
    return this
  }

  #receive(message: ConsumeMessage | null): void {
    if (message) this.#acknowledgements.track(message)
    else this.#ending.abort(new Error('the broker cancelled the consumer'))
    if (!message) return
    if (this.#draining.signal.aborted) return void this.#leave(message)
    this.received++
    const handled: Promise<void> = this.#handle(message).finally(() => this.#handling.delete(handled))
    this.#handling.add(handled)
  }

  async #handle(message: ConsumeMessage): Promise<void> {
    if (!this.#limiter.tryAcquire() && !(await this.#waitForSlot())) return this.#leave(message)
    if (this.ended.aborted) return this.#limiter.release()
    this.#slots++
    const { handle, queue, logger } = this.#options
    try {
      const signals = { signal: this.ended, draining: this.#draining.signal }
      const decision = signals.draining.aborted ? 'leave' : await handle(toDelivery(message, signals))
      if (this.ended.aborted) return
      if (decision === 'ack') this.#acknowledgements.ack(message)
      else if (decision === 'reject') this.#acknowledgements.reject(message)
      else this.#leave(message)
    } catch (error) {
      logger.error('the handler of a delivery threw', { queue, message_id: message.properties.messageId, error })
      this.#ending.abort(new Error('the handler of a delivery threw'))
    } finally {
      if (!this.ended.aborted) this.#release(1)
    }
  }

  /** Returns whether there is a slot before this channel starts no more handlers. */
  #waitForSlot(): Promise<boolean> {
    return this.#limiter.acquire(this.#draining.signal).then(
      () => true,
      () => false,
    )
  }

  /** Returns a delivery to its queue as soon as the consumer is cancelled. Before, the broker would deliver it here again. */
  #leave(message: ConsumeMessage): void {
    if (this.#unbegun) this.#unbegun.push(message)
    else if (!this.ended.aborted) this.#acknowledgements.requeue(message)
  }

  #release(slots: number): void {
    this.#slots -= slots
    this.#limiter.release(slots)
  }

  /** Asks the broker once: amqplib forgets the consumer at the first answer. */
  #cancel(): Promise<void> {
    this.#cancelled ??= ask((done) => this.#channel.cancel(this.#options.queue, done)).then(() => {
      const unbegun = this.#unbegun ?? []
      this.#unbegun = undefined
      for (const message of unbegun) this.#leave(message)
    })
    return this.#cancelled
  }

  async #allHandled(): Promise<void> {
    while (this.#handling.size > 0) await Promise.all(this.#handling)
  }

  /** Starts no more handlers. Those that run, and have not begun their work, are told not to begin. */
  beginNoMore(): void {
    this.#draining.abort()
  }

  /** Stops new deliveries, lets those received be handled and settled, and ends. */
  async retire(): Promise<void> {
    // A broker that has forgotten the consumer may not answer. The running handlers are waited for in any case.
    await within(Promise.race([this.#cancel(), aborted(this.ended)]), CANCELLING).catch(() => {})
    await Promise.race([this.#allHandled(), aborted(this.ended)])
    this.end()
  }

  /** Starts no more handlers, waits for those that run, and logs how many are unfinished at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.beginNoMore()
    const { queue, logger } = this.#options
    const drained = this.#cancel().then(() => this.#allHandled())
    try {
      await within(Promise.race([drained, aborted(this.ended)]), { deadlineMs, what: 'draining the consumer' })
    } catch (error) {
      const reason = errorMessage(error)
      logger.warn('unfinished deliveries return to their queue', { queue, deliveries: this.#handling.size, reason })
    }
  }

  /** Sends the acknowledgements that are due. Nothing is settled after it. */
  end(): void {
    this.#acknowledgements.flush()
    this.#ending.abort(new Error('the channel is being closed'))
  }
}

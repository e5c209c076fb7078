import { aborted, createLimiter, errorMessage, type Limiter, within } from '@cashflow/async'
import type { Channel, ConsumeMessage } from 'amqplib/callback_api'
import type { BrokerConnection } from './broker-connection.ts'
import { ask, closeChannel, type OpenChannel, openChannel, prepareChannel } from './channel.ts'
import { superviseChannel } from './channel-supervisor.ts'
import type { ConnectionSupervisor } from './connection-supervisor.ts'
import { createConsumerWatch, type WatchedConsumer, type WatchTimes } from './consumer-watch.ts'
import { type DeliveryOptions, toDelivery } from './delivery.ts'
import { createLatch } from './latch.ts'
import { declareTopology, type Topology } from './topology.ts'

const CANCELLING = { deadlineMs: 10_000, what: 'cancelling the consumer' }

export interface ConsumerOptions extends DeliveryOptions {
  connection: ConnectionSupervisor
  topology: Topology
  /** When the watch looks for a consumer that RabbitMQ has forgotten. */
  watchTimes?: WatchTimes
}

export type Consumer = ReturnType<typeof createConsumer>

export function createConsumer(options: ConsumerOptions) {
  const { connection, topology, queue, prefetch, bodyBytesMax, logger, watchTimes } = options
  const stopping = new AbortController()
  const name = `consumer of ${queue}`
  // The broker counts each channel by itself. A consumer that subscribes again while deliveries of its last channel are
  // being handled would otherwise handle twice its prefetch.
  const limiter = createLimiter({ runningMax: prefetch })
  const accepted = createLatch<true>(stopping.signal)
  const watch = createConsumerWatch(queue, logger, watchTimes)
  /** One promise for each former channel: the broker delivers nothing on it, and its last deliveries are still handled. */
  const retiring = new Set<Promise<void>>()
  let deadlineMs = 10_000
  let running: Promise<void> | undefined

  const opening = (broker: BrokerConnection) => openChannel(broker, bodyBytesMax)

  async function setUp(opened: OpenChannel<Channel>): Promise<Subscription> {
    await declareTopology(opened.channel, topology)
    return new Subscription(opened, options, limiter).consume()
  }

  async function runChannel(broker: BrokerConnection): Promise<void> {
    const [opened, subscription] = await prepareChannel(broker, opening, setUp, stopping.signal)
    accepted.open(true)
    const closed = closeWhenEnded(broker, opened, subscription)
    if (await watch.isForgotten(broker, subscription, stopping.signal)) {
      subscription.retire()
      retiring.add(closed)
      closed.then(() => retiring.delete(closed))
      return
    }
    await closed
    if (!stopping.signal.aborted) throw subscription.ended.reason
  }

  async function closeWhenEnded(broker: BrokerConnection, opened: OpenChannel<Channel>, subscription: Subscription) {
    await aborted(subscription.ended, stopping.signal)
    if (!subscription.ended.aborted) await subscription.drain(deadlineMs)
    subscription.end()
    await closeChannel(broker, opened)
  }

  return {
    name,
    /** Resolves at once. Deliveries begin when a broker is connected. */
    async start(): Promise<void> {
      running ??= superviseChannel({ connection, logger, name, runChannel }, stopping.signal)
    },
    /** Resolves when the broker has accepted topology and consumer for the first time. Rejects on `signal` and `stop`. */
    whenAccepted: async (signal?: AbortSignal): Promise<void> => void (await accepted.wait(signal)),
    /** Starts no more handlers, and waits at most `deadlineMs` (10,000) for those that run. Others return to the queue. */
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
  readonly #limiter: Limiter
  readonly #acknowledgements: ReturnType<typeof createAcknowledgements>
  readonly #ending = new AbortController()
  readonly #handling = new Set<Promise<void>>()
  #draining = false
  /** Slots of the limiter that this channel's deliveries hold. */
  #slots = 0
  #cancelled: Promise<unknown> | undefined
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
    if (!message || this.#draining || this.ended.aborted) return
    this.received++
    const handled: Promise<void> = this.#handle(message).finally(() => this.#handling.delete(handled))
    this.#handling.add(handled)
  }

  async #handle(message: ConsumeMessage): Promise<void> {
    if (!this.#limiter.tryAcquire()) await this.#limiter.acquire()
    if (this.ended.aborted) return this.#limiter.release()
    this.#slots++
    const { handle, queue, logger } = this.#options
    try {
      const decision = this.#draining ? 'leave' : await handle(toDelivery(message, this.ended))
      if (this.ended.aborted) return
      if (decision === 'ack') this.#acknowledgements.ack(message)
      else if (decision === 'reject') this.#acknowledgements.reject(message)
    } catch (error) {
      logger.error('the handler of a delivery threw', { queue, message_id: message.properties.messageId, error })
      this.#ending.abort(new Error('the handler of a delivery threw'))
    } finally {
      if (!this.ended.aborted) this.#release(1)
    }
  }

  #release(slots: number): void {
    this.#slots -= slots
    this.#limiter.release(slots)
  }

  /** Asks the broker once: amqplib forgets the consumer at the first answer. */
  #cancel(): Promise<unknown> {
    this.#cancelled ??= ask((done) => this.#channel.cancel(this.#options.queue, done))
    return this.#cancelled
  }

  async #allHandled(): Promise<void> {
    while (this.#handling.size > 0) await Promise.all(this.#handling)
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
    this.#draining = true
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

/**
 * Settles the deliveries of one channel, several with one acknowledgement. Each acknowledgement costs a write here, and a
 * command at the queue. One with `multiple` covers all deliveries up to it, so it must have no unsettled one before it.
 *
 * @param failed receives what the channel throws
 */
export function createAcknowledgements(channel: Pick<Channel, 'ack' | 'reject'>, failed: (error: unknown) => void) {
  const unsettled = new Set<ConsumeMessage>() // A set keeps the order of arrival.
  const due = new Set<ConsumeMessage>()

  /** Sends the acknowledgements that are due. */
  function flush(): void {
    let last: ConsumeMessage | undefined
    for (const message of unsettled) {
      if (!due.delete(message)) break
      unsettled.delete(message)
      last = message
    }
    try {
      if (last) channel.ack(last, true)
      for (const message of due) {
        unsettled.delete(message)
        channel.ack(message)
      }
    } catch (error) {
      failed(error)
    }
    due.clear()
  }

  return {
    /** Number of deliveries that are not settled. Each takes one place of the channel's prefetch. */
    get unsettled() {
      return unsettled.size
    },
    /** Has to be called with each delivery, in the order of arrival. */
    track: (message: ConsumeMessage) => void unsettled.add(message),
    /** Acknowledges at the end of this turn of the event loop, together with the other deliveries. */
    ack(message: ConsumeMessage): void {
      // nextTick runs after all promises: every delivery that the same COMMIT settles is due by then.
      if (due.size === 0) process.nextTick(flush)
      due.add(message)
    },
    reject(message: ConsumeMessage): void {
      try {
        channel.reject(message, false)
        unsettled.delete(message)
      } catch (error) {
        failed(error)
      }
    },
    flush,
  }
}

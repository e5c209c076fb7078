import type { Channel, ConsumeMessage } from 'amqplib/callback_api'
import { createAcknowledgements } from './acknowledgements.ts'
import { ask, type Opened } from './channel.ts'
import { describe } from './errors.ts'
import type { Logger } from './logger.ts'
import { aborted, within } from './waiting.ts'

/**
 * `reject` sends it to the dead letter exchange. `leave` keeps it as it is until the channel is gone and it is delivered
 * again: for a process that stops. Nothing is ever requeued.
 */
export type Settlement = 'ack' | 'reject' | 'leave'

export interface Delivery {
  body: Buffer
  messageId: string | undefined
  /** The routing key it was published with. */
  topic: string
  headers: Readonly<Record<string, unknown>>
  redelivered: boolean
  /** Aborted when its channel is gone: the broker delivers it again, and settling this one is moot. */
  signal: AbortSignal
}

export interface DeliveryOptions {
  queue: string
  /** Deliveries being handled at once. */
  prefetch: number
  /**
   * Settles one delivery. A throw is a bug: the delivery stays unacknowledged, and the channel is built anew after a
   * pause, so that the broker delivers it again, until its delivery limit.
   */
  handle(delivery: Delivery): Promise<Settlement>
  logger: Logger
}

/** One channel's deliveries. They are settled on it or not at all: a tag means nothing on the next channel. */
export interface DeliverySession {
  /** Aborted when it is of no more use: the channel is gone, the broker cancelled, the handler threw. */
  readonly over: AbortSignal
  consume(): Promise<void>
  /** Takes no more, and waits for what is being handled; logs what did not end in time. */
  drain(deadlineMs: number): Promise<void>
  /** From here on nothing is settled. */
  end(): void
}

export function createDeliverySession(
  { channel, closed }: Opened<Channel>,
  { queue, prefetch, handle, logger }: DeliveryOptions,
): DeliverySession {
  const over = new AbortController()
  const acknowledgements = createAcknowledgements(channel, (error) => over.abort(error))
  const handling = new Set<Promise<void>>()
  let taking = true
  closed.addEventListener('abort', () => over.abort(closed.reason))

  function receive(message: ConsumeMessage | null): void {
    if (message) acknowledgements.came(message)
    else over.abort(new Error('the broker cancelled the consumer'))
    if (!message || !taking || over.signal.aborted) return
    const handled: Promise<void> = settle(message).finally(() => handling.delete(handled))
    handling.add(handled)
  }

  async function settle(message: ConsumeMessage): Promise<void> {
    let settlement: Settlement
    try {
      settlement = await handle(toDelivery(message, over.signal))
    } catch (error) {
      logger.error('a delivery was not handled', { queue, message_id: message.properties.messageId, error })
      over.abort(new Error('a delivery was not handled'))
      return
    }
    if (over.signal.aborted) return
    try {
      if (settlement === 'ack') acknowledgements.ack(message)
      else if (settlement === 'reject') acknowledgements.reject(message)
    } catch (error) {
      // The connection is being closed under it.
      over.abort(error)
    }
  }

  return {
    over: over.signal,
    async consume() {
      await ask((done) => channel.prefetch(prefetch, false, done))
      await ask((done) => channel.consume(queue, receive, { consumerTag: queue }, done))
    },
    async drain(deadlineMs) {
      taking = false
      const cancelled = ask((done) => channel.cancel(queue, done))
      const drained = cancelled.then(() => Promise.all(handling))
      try {
        await within(Promise.race([drained, aborted(over.signal)]), { deadlineMs, what: 'draining the consumer' })
      } catch (error) {
        logger.warn('deliveries go back unfinished', { queue, deliveries: handling.size, reason: describe(error) })
      }
    },
    end() {
      acknowledgements.flush()
      over.abort(new Error('the channel is being closed'))
    },
  }
}

function toDelivery({ content, fields, properties }: ConsumeMessage, signal: AbortSignal): Delivery {
  return {
    body: content,
    messageId: properties.messageId,
    topic: fields.routingKey,
    headers: properties.headers ?? {},
    redelivered: fields.redelivered,
    signal,
  }
}

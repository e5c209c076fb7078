import type { Channel, ConsumeMessage } from 'amqplib/callback_api'
import { createAcknowledgements } from './acknowledgements.ts'
import { ask, type OpenChannel } from './channel.ts'
import { errorMessage } from './errors.ts'
import type { Hand } from './hand.ts'
import type { Logger } from './logger.ts'
import { aborted, within } from './waiting.ts'

/**
 * `reject` sends it to the dead letter exchange. `leave` keeps it as it is until the channel is gone and it is delivered
 * again: for a process that stops. Nothing is ever requeued.
 */
export type AckDecision = 'ack' | 'reject' | 'leave'

export interface Delivery {
  /** At most `bodyBytesMax` of it, from its beginning. */
  body: Buffer
  /** The size of the whole body. */
  bytes: number
  messageId: string | undefined
  /** The routing key it was published with. */
  topic: string
  /** What can be decoded of them, down to 64 levels: a publisher may send any bytes. */
  headers: Readonly<Record<string, unknown>>
  redelivered: boolean
  /** Aborted when its channel is gone: the broker delivers it again, and settling this one is moot. */
  signal: AbortSignal
}

export interface DeliveryOptions {
  queue: string
  /** Deliveries being handled at once. */
  prefetch: number
  /** How much of a body is kept in memory, in bytes. Default: all of it. */
  bodyBytesMax?: number
  /**
   * Settles one delivery. A throw is a bug: the delivery stays unacknowledged, and the channel is built anew after a
   * pause, so that the broker delivers it again, until its delivery limit.
   */
  handle(delivery: Delivery): Promise<AckDecision>
  logger: Logger
}

const CANCELLING = { deadlineMs: 10_000, what: 'cancelling the consumer' }

/** One channel's deliveries. They are settled on it or not at all: a tag means nothing on the next channel. */
export interface DeliverySession {
  /** Aborted when it is of no more use: the channel is gone, the broker cancelled, the handler threw. */
  readonly over: AbortSignal
  /** Deliveries so far. */
  readonly received: number
  /** The broker owes it a delivery as soon as its queue has a message: fewer than the prefetch are unsettled. */
  readonly hasRoom: boolean
  consume(): Promise<void>
  /**
   * Asks the broker to deliver no more here. What came before is handled and settled on this channel. Resolves when that is
   * done, or when the session is over.
   */
  retire(): Promise<void>
  /** Takes no more, and waits for what is being handled; logs what did not end in time. */
  drain(deadlineMs: number): Promise<void>
  /** From here on nothing is settled. */
  end(): void
}

export function createDeliverySession(
  { channel, closed }: OpenChannel<Channel>,
  { queue, prefetch, handle, logger }: DeliveryOptions,
  hand: Hand,
): DeliverySession {
  const over = new AbortController()
  const acknowledgements = createAcknowledgements(channel, (error) => over.abort(error))
  const handling = new Set<Promise<void>>()
  let taking = true
  let received = 0
  let places = 0
  let cancelled: Promise<unknown> | undefined
  closed.addEventListener('abort', () => over.abort(closed.reason))
  // Its deliveries come again on the next channel, which need not wait for handlers that may never end.
  over.signal.addEventListener('abort', () => freePlaces(places))

  function receive(message: ConsumeMessage | null): void {
    if (message) acknowledgements.came(message)
    else over.abort(new Error('the broker cancelled the consumer'))
    if (!message || !taking || over.signal.aborted) return
    received++
    const handled: Promise<void> = handleInTurn(message).finally(() => handling.delete(handled))
    handling.add(handled)
  }

  async function handleInTurn(message: ConsumeMessage): Promise<void> {
    const turn = hand.take()
    if (turn) await turn
    if (over.signal.aborted) return hand.free(1)
    places++
    try {
      if (taking) settle(message, await handle(toDelivery(message, over.signal)))
    } catch (error) {
      logger.error('a delivery was not handled', { queue, message_id: message.properties.messageId, error })
      over.abort(new Error('a delivery was not handled'))
    } finally {
      if (!over.signal.aborted) freePlaces(1)
    }
  }

  function settle(message: ConsumeMessage, settlement: AckDecision): void {
    if (over.signal.aborted) return
    try {
      if (settlement === 'ack') acknowledgements.ack(message)
      else if (settlement === 'reject') acknowledgements.reject(message)
    } catch (error) {
      // The connection is being closed under it.
      over.abort(error)
    }
  }

  function freePlaces(count: number): void {
    places -= count
    hand.free(count)
  }

  /** Once: amqplib forgets the consumer at the first answer. */
  function cancel(): Promise<unknown> {
    cancelled ??= ask((done) => channel.cancel(queue, done))
    return cancelled
  }

  async function handled(): Promise<void> {
    while (handling.size > 0) await Promise.all(handling)
  }

  return {
    over: over.signal,
    get received() {
      return received
    },
    get hasRoom() {
      return acknowledgements.unsettled < prefetch
    },
    async consume() {
      await ask((done) => channel.prefetch(prefetch, false, done))
      await ask((done) => channel.consume(queue, receive, { consumerTag: queue }, done))
    },
    async retire() {
      // A broker that has forgotten the consumer may not answer: then what is in hand is waited for all the same.
      await within(Promise.race([cancel(), aborted(over.signal)]), CANCELLING).catch(() => {})
      await Promise.race([handled(), aborted(over.signal)])
    },
    async drain(deadlineMs) {
      taking = false
      const drained = cancel().then(handled)
      try {
        await within(Promise.race([drained, aborted(over.signal)]), { deadlineMs, what: 'draining the consumer' })
      } catch (error) {
        logger.warn('deliveries go back unfinished', { queue, deliveries: handling.size, reason: errorMessage(error) })
      }
    },
    end() {
      acknowledgements.flush()
      over.abort(new Error('the channel is being closed'))
    },
  }
}

function toDelivery(message: ConsumeMessage, signal: AbortSignal): Delivery {
  const { content, fields, properties } = message
  return {
    body: content,
    // From our patch of amqplib, whose types do not know it.
    bytes: (message as unknown as { contentSize: number }).contentSize,
    messageId: properties.messageId,
    topic: fields.routingKey,
    headers: properties.headers ?? {},
    redelivered: fields.redelivered,
    signal,
  }
}

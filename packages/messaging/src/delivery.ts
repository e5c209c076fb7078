import type { ConsumeMessage } from 'amqplib/callback_api'
import { bodySize } from './amqplib-internals.ts'
import type { Logger } from './logger.ts'

/** A handler's decision on a delivery. No failure requeues a message. */
export type AckDecision =
  /** The message is done. */
  | 'ack'
  /** The broker moves the message to the dead letter exchange. */
  | 'reject'
  /** No work has begun. The message returns to its queue once the consumer is cancelled. For a consumer that pauses or stops. */
  | 'leave'

export interface Delivery {
  /** The body, or its first `bodyBytesMax` bytes. */
  body: Buffer
  /** Size of the whole body, in bytes. */
  bytes: number
  messageId: string | undefined
  /** Routing key with which the message was published. */
  topic: string
  /** The headers that can be decoded, down to 64 levels: a publisher may send any bytes. */
  headers: Readonly<Record<string, unknown>>
  redelivered: boolean
  /** Aborted when the delivery's channel is closed. The broker delivers the message again; a decision has no effect. */
  signal: AbortSignal
  /**
   * Aborted when the consumer pauses or stops, and with `signal`. A handler that has not begun its work answers `leave`
   * then, and one that has begun finishes it.
   */
  draining: AbortSignal
}

export interface DeliveryOptions {
  queue: string
  /** Maximum number of deliveries that are handled at the same time. */
  prefetch: number
  /** Maximum number of bytes of a body that are kept in memory. Default: all. */
  bodyBytesMax?: number
  /**
   * Handles one delivery. A throw is a bug: the delivery stays unacknowledged, and the consumer opens a new channel after
   * a pause. The broker then delivers the message again, until its delivery limit.
   */
  handle(delivery: Delivery): Promise<AckDecision>
  logger: Logger
}

export function toDelivery(
  message: ConsumeMessage,
  { signal, draining }: Pick<Delivery, 'signal' | 'draining'>,
): Delivery {
  const { content, fields, properties } = message
  return {
    body: content,
    bytes: bodySize(message),
    messageId: properties.messageId,
    topic: fields.routingKey,
    headers: properties.headers ?? {},
    redelivered: fields.redelivered,
    signal,
    draining,
  }
}

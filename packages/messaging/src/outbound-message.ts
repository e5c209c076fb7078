export interface OutboundMessage {
  messageId: string
  /** Ordering key: messages with the same key are never reordered. */
  key: string
  /** Routing key, and the message's `type`. */
  topic: string
  /** JSON text. */
  body: string
  headers: Readonly<Record<string, string>>
  /** If no queue is bound to the topic, a mandatory message is `returned`, and any other is dropped and `confirmed`. */
  mandatory: boolean
  createdAt: Date
}

/**
 * The properties that a message has at the broker.
 *
 * @param tag its delivery tag
 */
export function propertiesOf(message: OutboundMessage, tag: number) {
  return {
    mandatory: message.mandatory,
    persistent: true,
    contentType: 'application/json',
    messageId: message.messageId,
    type: message.topic,
    timestamp: Math.floor(message.createdAt.getTime() / 1000),
    headers: message.headers,
    // A return carries no delivery tag, and two messages with the same id may be in flight.
    correlationId: String(tag),
  }
}

export type PublishOutcome =
  /** The broker is responsible for the message now. */
  | { status: 'confirmed' }
  /** The broker refused the message for the moment: a full queue, or an internal error. */
  | { status: 'nacked' }
  /** No queue is bound to the message's topic. */
  | { status: 'returned'; reason: string }
  /** Too large for a frame, or for the broker, which closes the channel over it. A retry does not help. */
  | { status: 'oversized'; reason: string }
  /** The broker closes the channel or the connection over this message alone, and accepts others. */
  | { status: 'rejected'; reason: string }
  /** The message may have been published or not. */
  | { status: 'unknown'; reason: string }

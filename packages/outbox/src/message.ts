import { crc32 } from 'node:zlib'

/** A message that a transaction wants published. */
export interface NewMessage {
  /** A UUID, the same at every attempt: consumers recognise duplicates by it. */
  messageId: string
  /** Messages of one key are first delivered in the order of their commits. */
  key: string
  topic: string
  /** Any JSON value of at most PAYLOAD_BYTES_MAX. */
  payload: unknown
  headers?: Readonly<Record<string, string>>
  /** False for a message that may have no consumer: unroutable then counts as published. True by default. */
  mandatory?: boolean
}

/** A message as a relay publishes it. */
export interface OutboxMessage {
  readonly messageId: string
  readonly key: string
  readonly topic: string
  /** The payload as JSON text. */
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly mandatory: boolean
  /** Number of times that it was returned as unroutable. */
  readonly attempts: number
  /** When it was appended, or due. */
  readonly createdAt: Date
}

/** An outbox message as a pass reads it from its lane. */
export interface ReadMessage extends OutboxMessage {
  readonly lane: number
  /** A bigint, as text. */
  readonly id: string
  /** Size of the body. The body is empty if this is more than BODY_BYTES_MAX. */
  readonly bytes: number
}

/**
 * Maximum size of a payload, in bytes of JSON, so that a relay never reads much at once. A message refers to larger data
 * instead of carrying it.
 */
export const PAYLOAD_BYTES_MAX = 1_000_000

/**
 * Maximum size of a body that a relay publishes, in bytes. It is larger than PAYLOAD_BYTES_MAX because PostgreSQL writes
 * some JSON longer than it was (1e300). RabbitMQ closes the channel, with all messages on it, if a message is larger than
 * it accepts: 16 MiB since 4.0.
 */
export const BODY_BYTES_MAX = 10_000_000

/** The payload is larger than PAYLOAD_BYTES_MAX. */
export class PayloadTooLargeError extends Error {
  override name = 'PayloadTooLargeError'
  readonly code = 'payload_too_large'
  readonly bytes: number

  constructor({ topic, key }: NewMessage, bytes: number) {
    super(`the payload of ${topic} for ${key} has ${bytes} bytes, more than ${PAYLOAD_BYTES_MAX}`)
    this.bytes = bytes
  }
}

export const LANES = 32

/** The lane of a key, always the same. Computed here, because a stored lane must not depend on the server's version. */
export function laneOf(key: string): number {
  return crc32(key) % LANES
}

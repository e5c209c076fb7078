import { crc32 } from 'node:zlib'

/** What a transaction wants published. */
export interface NewMessage {
  /** A UUID, the same at every attempt: receivers recognise duplicates by it. */
  messageId: string
  /** Messages of one key are first delivered in the order of their commits. */
  key: string
  topic: string
  /** Any JSON value of at most PAYLOAD_BYTES_MAX. */
  payload: unknown
  headers?: Readonly<Record<string, string>>
  /** False for news that nobody may be listening to: unroutable then counts as done. True by default. */
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
  /** How often it came back unroutable. */
  readonly attempts: number
  /** When it was appended, or due. */
  readonly createdAt: Date
}

/** How large a payload may be, in bytes of JSON: what a relay reads at once stays small. Larger things are referred to. */
export const PAYLOAD_BYTES_MAX = 1_000_000

/**
 * What a relay still publishes, in bytes of body: PostgreSQL writes some JSON longer than it came (1e300). RabbitMQ
 * closes the channel on more than it takes, 16 MiB since 4.0, and with it every message beside it.
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

/** All messages of a key share a lane, for ever: the stored lane must not depend on a server's version. */
export function laneOf(key: string): number {
  return crc32(key) % LANES
}

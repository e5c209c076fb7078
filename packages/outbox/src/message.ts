import { crc32 } from 'node:zlib'

/** What a transaction wants published. */
export interface NewMessage {
  /** A UUID, the same at every attempt: receivers recognise duplicates by it. */
  messageId: string
  /** Messages of one key are first delivered in the order of their commits. */
  key: string
  topic: string
  /** Any JSON value. */
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
  readonly createdAt: Date
}

export const LANES = 32

/** All messages of a key share a lane, for ever: the stored lane must not depend on a server's version. */
export function laneOf(key: string): number {
  return crc32(key) % LANES
}

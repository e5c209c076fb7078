import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Channel, Connection, ConsumeMessage, Message } from 'amqplib/callback_api'

// Private fields of amqplib, and what patches/ adds: the types of amqplib declare neither.

/**
 * Makes amqplib write once to the socket in a turn of the event loop. By itself it writes once for each message. Each write
 * costs a system call here, and a packet for the broker.
 *
 * @returns the socket, which writes at the end of the turn, or when it is uncorked
 */
export function writeTogether(amqp: Connection): Duplex {
  const stream = streamOf(amqp)
  const write = stream.write.bind(stream) as (...given: unknown[]) => boolean
  stream.write = (...given: unknown[]) => {
    if (stream.writableCorked === 0) {
      stream.cork()
      process.nextTick(() => stream.uncork())
    }
    return write(...given)
  }
  return stream
}

/** A connection's TLS version and cipher. */
export interface BrokerEncryption {
  readonly protocol: string
  readonly cipher: string
}

/** Undefined without TLS. */
export function encryptionOf(amqp: Connection): BrokerEncryption | undefined {
  const stream = streamOf(amqp)
  if (!(stream instanceof TLSSocket)) return undefined
  return { protocol: stream.getProtocol() ?? 'unknown', cipher: stream.getCipher().name }
}

function streamOf(amqp: Connection): Duplex {
  return (amqp.connection as unknown as { stream: Duplex }).stream
}

/** Creates a channel that keeps at most `bodyBytesMax` bytes of a delivery's body. Undefined: all bytes. Patched. */
export function createChannel(
  amqp: Connection,
  bodyBytesMax: number | undefined,
  done: (error: Error | null) => void,
): Channel {
  return amqp.createChannel({ contentMax: bodyBytesMax } as object, done)
}

/** Size of the whole body in bytes, also where only its beginning was kept. Patched. */
export function bodySize(message: ConsumeMessage): number {
  return (message as unknown as { contentSize: number }).contentSize
}

/** The broker's reason for returning a message, such as `312 NO_ROUTE`. */
export function returnReason(message: Message): string {
  const { replyCode, replyText } = message.fields as unknown as { replyCode: number; replyText: string }
  return `${replyCode} ${replyText}`
}

/** The facts that amqplib keeps of the broker's `channel.close` or `connection.close`. Empty for any other error. */
export function closeOf(error: unknown): { code?: number; classId?: number; methodId?: number } {
  return error instanceof Error ? (error as ReturnType<typeof closeOf>) : {}
}

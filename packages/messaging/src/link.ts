import type { Duplex } from 'node:stream'
import { type Connection as AmqpConnection, connect, credentials, type SocketOptions } from 'amqplib/callback_api'
import type { Endpoint } from './endpoint.ts'
import { aborted, within } from './waiting.ts'

const CLOSE_DEADLINE_MS = 2_000

/** One live connection to one broker. It ends once, and a new one takes its place. */
export interface BrokerConnection {
  readonly endpoint: Endpoint
  readonly amqp: AmqpConnection
  /** The broker has a memory or disk alarm and reads nothing from publishers. */
  readonly blocked: boolean
  /** Aborted, with the cause, as soon as the link is of no use. */
  readonly closed: AbortSignal
  /** Ends it at once, without asking the broker, who may be the reason. */
  drop(reason: string): void
  /** Ends it as the protocol has it, or after two seconds all the same. */
  close(): Promise<void>
}

export interface LinkOptions {
  name: string
  connectTimeoutMs: number
  signal: AbortSignal
}

/**
 * amqplib's callback API here and for channels: it hands over a connection or a channel in the turn that makes it, so
 * that every event has its listener. The promise API awaits the broker first, and an `error` that nobody hears throws.
 */
export async function openLink(
  endpoint: Endpoint,
  { name, connectTimeoutMs, signal }: LinkOptions,
): Promise<BrokerConnection> {
  // Destroys the socket at whatever point: while it is looked up, dialled, shaking hands, idle or black-holed.
  const socket = new AbortController()
  const timer = setTimeout(() => socket.abort(new Error(`no answer in ${connectTimeoutMs} ms`)), connectTimeoutMs)
  const giveUp = () => socket.abort(signal.reason)
  signal.addEventListener('abort', giveUp)
  const options: SocketOptions & { signal: AbortSignal } = {
    signal: socket.signal,
    noDelay: true,
    keepAlive: true,
    clientProperties: { connection_name: name },
    credentials: credentials.plain(endpoint.username, endpoint.password),
  }
  try {
    signal.throwIfAborted()
    return await new Promise((resolve, reject) => {
      connect(endpoint.url, options, (error, amqp) => {
        if (error) reject(socket.signal.aborted ? socket.signal.reason : error)
        else resolve(superviseLink(endpoint, amqp, socket))
      })
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}

function superviseLink(endpoint: Endpoint, amqp: AmqpConnection, socket: AbortController): BrokerConnection {
  let blocked = false
  const stream = writeTogether(amqp)
  const closed = new AbortController()
  const end = (reason: Error) => {
    closed.abort(reason)
    stream.uncork()
    // amqplib only half-closes its socket, and a black hole never answers that.
    socket.abort(reason)
  }
  amqp.on('error', end)
  // A broker that stops gracefully (320) emits `close` alone.
  amqp.on('close', (error) => end(error ?? new Error('closed')))
  amqp.on('blocked', () => {
    blocked = true
  })
  amqp.on('unblocked', () => {
    blocked = false
  })
  return {
    endpoint,
    amqp,
    closed: closed.signal,
    get blocked() {
      return blocked
    },
    drop: (reason) => end(new Error(reason)),
    async close() {
      if (closed.signal.aborted) return
      try {
        amqp.close()
        await within(aborted(closed.signal), { deadlineMs: CLOSE_DEADLINE_MS, what: 'closing the connection' })
      } catch (error) {
        end(error as Error)
      }
    },
  }
}

/**
 * amqplib hands each message to the socket by itself, which is a system call here and a packet for the broker. What it
 * writes in one turn goes out as one instead, at the end of that turn, or when the returned stream is uncorked.
 */
function writeTogether(amqp: AmqpConnection): Duplex {
  const { stream } = amqp.connection as unknown as { stream: Duplex }
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

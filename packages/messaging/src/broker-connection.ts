import { aborted, within } from '@cashflow/async'
import { type Connection as AmqpConnection, connect, credentials, type SocketOptions } from 'amqplib/callback_api'
import { encryptionOf, writeTogether } from './amqplib-internals.ts'
import type { Endpoint } from './endpoint.ts'

const CLOSE_DEADLINE_MS = 2_000
// Explicit: NODE_TLS_REJECT_UNAUTHORIZED=0 and NODE_OPTIONS would change Node's defaults.
const VERIFIED = { rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const

/** One live connection to one broker. It ends once, and the supervisor replaces it with a new one. */
export type BrokerConnection = ReturnType<typeof toBrokerConnection>

/** PEM texts for TLS, and the name of the broker's certificate where it is not the host's. */
export interface TlsOptions {
  /** Authorities that the broker's certificate must come from. Default: those that Node trusts. */
  readonly ca?: Buffer
  /** Certificate and private key of this client. */
  readonly cert?: Buffer
  readonly key?: Buffer
  /** Name that is sent to the broker (SNI), and that its certificate must have. Default: the host, if it is a name. */
  readonly servername?: string
}

export interface DialOptions {
  /** Connection name in RabbitMQ's management UI. */
  name: string
  connectTimeoutMs: number
  /** Called for each connection to an `amqps://` URL. */
  tls?: (() => TlsOptions) | undefined
  signal: AbortSignal
}

/**
 * Connects to a broker. Here and for channels we use amqplib's callback API. Its callback runs in the turn that creates
 * the connection or the channel, so that every event finds its listener. The promise API awaits the broker first: an
 * `error` event in between has no listener and is thrown.
 */
export async function connectToBroker(
  endpoint: Endpoint,
  { name, connectTimeoutMs, tls, signal }: DialOptions,
): Promise<BrokerConnection> {
  signal.throwIfAborted()
  // An abort destroys the socket in each state: lookup, dialling, either handshake, idle, or without any answer.
  const socket = new AbortController()
  const options: SocketOptions & { signal: AbortSignal } = {
    ...(endpoint.isEncrypted && { ...VERIFIED, ...tls?.() }),
    signal: socket.signal,
    noDelay: true,
    keepAlive: true,
    clientProperties: { connection_name: name },
    credentials: credentials.plain(endpoint.username, endpoint.password),
  }
  const connected = new Promise<BrokerConnection>((resolve, reject) => {
    connect(endpoint.url, options, (error, amqp) => {
      if (error) reject(error)
      else resolve(toBrokerConnection(endpoint, amqp, socket))
    })
  })
  try {
    return await within(connected, { deadlineMs: connectTimeoutMs, what: 'connecting', signal })
  } catch (error) {
    socket.abort(error)
    throw error
  }
}

function toBrokerConnection(endpoint: Endpoint, amqp: AmqpConnection, socket: AbortController) {
  let blocked = false
  const stream = writeTogether(amqp)
  const closed = new AbortController()
  const end = (reason: Error) => {
    closed.abort(reason)
    stream.uncork()
    // amqplib only half-closes its socket. A peer that receives nothing never answers that.
    socket.abort(reason)
  }
  amqp.on('error', end)
  // A broker that stops gracefully (320) causes a `close` event without an `error` event.
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
    /** How the connection is encrypted. Undefined without TLS. */
    encryption: encryptionOf(amqp),
    /** Aborted, with the cause, as soon as the connection is unusable. */
    closed: closed.signal,
    /** True while the broker has a memory or disk alarm: it reads nothing from publishers then. */
    get blocked(): boolean {
      return blocked
    },
    /** Ends the connection immediately, without asking the broker, which may be the one that does not answer. */
    drop: (reason: string): void => end(new Error(reason)),
    /** Closes the connection as AMQP specifies. Ends it after two seconds without an answer. */
    async close(): Promise<void> {
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

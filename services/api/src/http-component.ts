import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Certificates, type Component, type Logger, uuidv7 } from '@cashflow/runtime'
import {
  type Connection,
  type Connections,
  defaultConnectionsMax,
  type Server,
  trackConnections,
} from './connections.ts'
import { PROBLEM_TYPE, Problem, problemBody } from './problem.ts'
import { PROBLEMS } from './problem-types.ts'
import { createSecureServer } from './secure-server.ts'
import { SECURITY_HEADERS } from './security-headers.ts'

export interface HttpOptions {
  host: string
  port: number
  logger: Logger
  /** Name of the component. Default: http. */
  name?: string
  /** Message of the log line that has its URL. Default: listening. */
  listening?: string
  /** Certificate and key for HTTPS. Without them it is plain HTTP. */
  certificates?: { read(): Certificates } | undefined
  /** Time after which a connection without any traffic is closed in the middle of an exchange, in milliseconds. */
  unreadMs?: number
  /** Time for the headers of a request, and for the handshake of TLS before it, in milliseconds. */
  headersMs?: number
  /** Number of connections. At this limit a new connection is accepted, and another one is closed for it. */
  connectionsMax?: number
}

export interface HttpComponent extends Component {
  /** The URL that it listens on, once it has started. */
  readonly url: string
}

const DRAIN_MS = 15_000
// Longer than the deadlines of a body and of its work in PostgreSQL together.
const UNREAD_MS = 20_000
// A client with more unanswered requests sends requests without reading the answers.
const UNANSWERED_MAX = 32
const HEADERS_MS = 10_000

/** Listens while started. On stop it answers the requests in flight, and then closes. */
export function httpComponent(app: RequestListener, options: HttpOptions): HttpComponent {
  const { host, port, logger, certificates, unreadMs = UNREAD_MS, headersMs = HEADERS_MS } = options
  const { name = 'http', listening = 'listening' } = options
  const limits = {
    headersTimeout: headersMs,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 65_000, // Longer than in load balancers, which must not send a request on a connection that closes.
    requireHostHeader: false, // The app's own answer has a Request-Id.
  }
  const server = certificates
    ? createSecureServer({ ...limits, handshakeTimeout: headersMs }, certificates)
    : createServer(limits)
  server.timeout = unreadMs
  parseInSlices(server, certificates ? 'secureConnection' : 'connection')
  // Not server.maxConnections: that closes the new connection, and keeps idle ones.
  const max = options.connectionsMax ?? defaultConnectionsMax()
  const connections = trackConnections(server, logger, max)
  server.on('clientError', (error, socket) => {
    answerClientError(error, socket as Socket, connections.open.get(socket as Socket))
  })
  let starting: Promise<unknown> | undefined
  let stopping: Promise<void> | undefined
  server.on('request', (req, res) => {
    const unanswered = connections.open.get(req.socket)?.exchanges.size ?? 0
    if (unanswered > UNANSWERED_MAX) req.socket.destroy()
    // Without an address the client has reset the connection already, and cannot get an answer.
    if (req.socket.remoteAddress === undefined) req.socket.destroy()
    if (req.socket.destroyed) return
    if (stopping) res.setHeader('Connection', 'close')
    app(req, res)
  })
  // RFC 9110 §10.1.1: a server may ignore an unknown expectation. Node's own refusal has no Request-Id.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res))
  return {
    name,
    get url() {
      const { address, family, port } = server.address() as AddressInfo
      return `${certificates ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    },
    async start() {
      if (stopping) return
      starting ??= once(server.listen({ host, port, backlog: 1_024 }), 'listening')
      await starting
      logger.info(listening, { url: this.url, connections_max: max })
    },
    async stop() {
      await starting?.catch(() => {})
      stopping ??= drain(server, connections)
      await stopping
      connections.stop()
    },
  }
}

async function drain(server: Server, connections: Connections): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  for (const { socket, exchanges } of connections.open.values()) {
    const unanswered = [...exchanges].filter((res) => !res.writableFinished)
    if (unanswered.length === 0) socket.destroy()
    // Without this header the connection stays open after its answer.
    for (const res of unanswered) if (!res.headersSent) res.setHeader('Connection', 'close')
  }
  const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(deadline)
}

// One request with a payment, or about fifty of the shortest requests.
const SLICE_BYTES = 1_024

/**
 * Feeds Node's HTTP parser 1,024 bytes at a time, through the private `data` listeners of the socket.
 *
 * The parser emits all pipelined requests of a chunk together: 2,300 in 64 KiB. Pausing or destroying the socket in a
 * `request` listener, which is public API, has no effect before the end of the chunk. Between two slices it has.
 *
 * Measured with test/memory.long.test.ts: 300 clients send 2,300 requests each and read no answer. Each connection is
 * closed at its 33rd unanswered request. Memory grows by
 *
 * - 118 to 145 MB with slices,
 * - 400 MB without slices,
 * - 1,233 MB without slices, if the socket is paused at 16 unanswered requests.
 *
 * With a heap of 128 MB, the process survives with slices only.
 */
function parseInSlices(server: Server, begun: 'connection' | 'secureConnection'): void {
  server.on(begun, (socket: Socket) => {
    const parsers = socket.listeners('data') as ((bytes: Buffer) => void)[]
    socket.removeAllListeners('data')
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length && socket.writable; at += SLICE_BYTES) {
        if (socket.isPaused()) return void socket.unshift(bytes.subarray(at))
        for (const parse of parsers) parse(bytes.subarray(at, at + SLICE_BYTES))
      }
    })
  })
}

/**
 * Answers bytes that are no request for Node: broken HTTP, or headers that are too large or too slow.
 *
 * @param connection undefined if it has ended, or its TLS handshake has failed: its client cannot read an answer
 */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket, connection: Connection | undefined): void {
  if (error.code === 'ECONNRESET' || !socket.writable || !connection) return void socket.destroy()
  const exchanges: readonly ServerResponse[] = [...connection.exchanges]
  // A client would take this answer for that of an earlier request. So earlier requests get their own answers, and then
  // the connection ends.
  const earlier = exchanges.filter((res) => res.req.complete)
  for (const res of earlier) if (!res.headersSent) res.setHeader('Connection', 'close')
  if (earlier.length > 0) return
  // The broken bytes are the body of a request that has its answer already.
  if (exchanges.some((res) => res.headersSent)) return void socket.destroy()
  const problem = clientProblem(error.code)
  const { status } = PROBLEMS[problem.code]
  const requestId = uuidv7()
  const body = JSON.stringify(problemBody(problem, requestId))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Cache-Control: no-store',
    `Content-Type: ${PROBLEM_TYPE}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Request-Id: ${requestId}`,
    SECURITY_HEADERS,
  ]
  socket.write(`${head.join('\r\n')}\r\n${body}`)
  socket.destroySoon()
}

function clientProblem(code: string | undefined): Problem {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'The headers did not arrive in time.')
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers-too-large', 'The headers are larger than 16 kB.')
    default:
      return new Problem('bad-request', 'This is not HTTP/1.1.')
  }
}

import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Component, Logger } from '@cashflow/runtime'
import { answerBrokenRequest } from './broken-request.ts'
import { type Connections, trackConnections } from './connections.ts'
import { connectionsMax } from './connections-max.ts'
import { readInSlices } from './read-in-slices.ts'

export interface HttpOptions {
  host: string
  port: number
  logger: Logger
  /** After how long a connection is cut on which nothing moves: a client that does not read its answers. */
  unreadMs?: number
  /** How long a request's headers may take. */
  headersMs?: number
  /** Connections at the same time. One more is taken, and another one closed for it. */
  connectionsMax?: number
}

export interface HttpComponent extends Component {
  /** Where it listens, once it has started. */
  readonly url: string
}

const DRAIN_MS = 15_000
// Longer than a body and a turn at PostgreSQL may take together.
const UNREAD_MS = 20_000
// A client that sends requests and reads no answers is cut here.
const UNANSWERED_MAX = 32
const HEADERS_MS = 10_000

/** Listens while started. Stopping answers what is in flight, then closes. */
export function httpPart(app: RequestListener, options: HttpOptions): HttpComponent {
  const { host, port, logger, unreadMs = UNREAD_MS, headersMs = HEADERS_MS } = options
  const server = createServer({
    headersTimeout: headersMs,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 65_000, // Longer than load balancers keep theirs, so that none sends into a closing connection.
    requireHostHeader: false, // The app's own answer has a Request-Id.
  })
  server.timeout = unreadMs
  readInSlices(server)
  // Not server.maxConnections, which closes the new connection and keeps those that idle.
  const max = options.connectionsMax ?? connectionsMax()
  const connections = trackConnections(server, { connectionsMax: max, logger })
  server.on('clientError', (error, socket) => {
    answerBrokenRequest(error, socket as Socket, [...(connections.open.get(socket as Socket)?.exchanges ?? [])])
  })
  let starting: Promise<unknown> | undefined
  let stopping: Promise<void> | undefined
  server.on('request', (req, res) => {
    const unanswered = connections.open.get(req.socket)?.exchanges.size ?? 0
    if (unanswered > UNANSWERED_MAX) req.socket.destroy()
    if (req.socket.destroyed) return
    if (stopping) res.setHeader('Connection', 'close')
    app(req, res)
  })
  // RFC 9110 §10.1.1: an unknown expectation may be ignored. Node's own refusal has no Request-Id.
  server.on('checkExpectation', (req, res) => server.emit('request', req, res))
  return {
    name: 'http',
    get url() {
      const { address, family, port } = server.address() as AddressInfo
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    },
    async start() {
      if (stopping) return
      starting ??= once(server.listen({ host, port, backlog: 1_024 }), 'listening')
      await starting
      logger.info('listening', { url: this.url, connections_max: max })
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
    // Else it would be kept alive after its answer.
    for (const res of unanswered) if (!res.headersSent) res.setHeader('Connection', 'close')
  }
  const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(deadline)
}

import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Logger, Part } from '@cashflow/runtime'
import { answerBrokenRequest } from './broken-request.ts'

export interface HttpOptions {
  host: string
  port: number
  logger: Logger
}

export interface HttpPart extends Part {
  /** Where it listens, once it has started. */
  readonly url: string
}

const DRAIN_MS = 15_000

/** Listens while started. Stopping answers what is in flight, then closes. */
export function httpPart(app: RequestListener, { host, port, logger }: HttpOptions): HttpPart {
  const server = createServer({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 65_000, // Longer than load balancers keep theirs, so that none sends into a closing connection.
    requireHostHeader: false, // The app's own answer has a Request-Id.
  })
  const unanswered = trackResponses(server)
  let starting: Promise<unknown> | undefined
  let stopping: Promise<void> | undefined
  server.on('request', (_req, res) => {
    if (stopping) res.setHeader('Connection', 'close')
  })
  server.on('request', app)
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
      logger.info('listening', { url: this.url })
    },
    async stop() {
      await starting?.catch(() => {})
      stopping ??= drain(server, unanswered)
      await stopping
    },
  }
}

function trackResponses(server: Server): ReadonlySet<ServerResponse> {
  const unanswered = new Set<ServerResponse>()
  server.on('request', (_req, res) => {
    unanswered.add(res)
    res.once('close', () => unanswered.delete(res))
  })
  server.on('clientError', (error, socket) => {
    answerBrokenRequest(
      error,
      socket as Socket,
      [...unanswered].filter(({ req }) => req.socket === socket),
    )
  })
  return unanswered
}

async function drain(server: Server, unanswered: ReadonlySet<ServerResponse>): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close() // Idle connections with it.
  // The others would be kept alive after their answer.
  for (const res of unanswered) if (!res.headersSent) res.setHeader('Connection', 'close')
  const deadline = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(deadline)
}

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { within } from '@cashflow/async'
import { createCondition } from '../condition.ts'
import type { Component } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'

/** Connections at the same time. One more closes the oldest: scrapers that hang must not keep a probe out. */
const CONNECTIONS_MAX = 16
const REQUEST_MS = 5_000
/** Time after which a connection without traffic is closed, also in the middle of an answer that is not read. */
const SILENT_MS = 20_000
const SCRAPE_MS = 5_000

/** An answer to a probe. */
export interface Probe {
  readonly ok: boolean
  /** The members of the answer's JSON. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface AdminServerOptions {
  host: string
  /** 0 means any free port. */
  port: number
  logger: Logger
  metrics: { readonly contentType: string; metrics(): Promise<string> }
  livez(): Probe
  readyz(): Probe
}

/** Serves /metrics, /livez and /readyz while started. */
export function createAdminServer({ host, port, logger, metrics, livez, readyz }: AdminServerOptions): Component {
  const failing = createCondition(logger, {
    level: 'error',
    message: 'metrics could not be read',
    ended: 'metrics can be read again',
  })
  let scraping: Promise<string> | undefined

  /** Scrapes at the same time share one reading. */
  async function scrape(res: ServerResponse): Promise<void> {
    scraping ??= metrics.metrics().finally(() => {
      scraping = undefined
    })
    try {
      const text = await within(scraping, { deadlineMs: SCRAPE_MS, what: 'reading the metrics' })
      failing.ended()
      send(res, 200, metrics.contentType, text)
    } catch (error) {
      failing.holds({ error })
      send(res, 500, 'text/plain; charset=utf-8', 'The metrics could not be read. The log has the error.\n')
    }
  }

  const answers: Readonly<Record<string, (res: ServerResponse) => unknown>> = {
    '/metrics': scrape,
    '/livez': (res) => sendProbe(res, livez()),
    '/readyz': (res) => sendProbe(res, readyz()),
  }
  const server = createServer({
    headersTimeout: REQUEST_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: SILENT_MS,
    maxHeaderSize: 8_192,
  })
  server.timeout = SILENT_MS
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    const [oldest] = open
    if (open.size > CONNECTIONS_MAX) oldest?.destroy()
  })
  server.on('request', (req, res) => {
    const [path = ''] = (req.url ?? '').split('?', 1)
    const answer = answers[path]
    if (!answer) return send(res, 404, 'text/plain; charset=utf-8', 'There are /metrics, /livez and /readyz.\n')
    if (req.method === 'GET' || req.method === 'HEAD') return void answer(res)
    res.setHeader('Allow', 'GET, HEAD')
    send(res, 405, 'text/plain; charset=utf-8', 'Use GET or HEAD.\n')
  })

  let starting: Promise<unknown> | undefined
  return {
    name: 'admin server',
    async start() {
      starting ??= once(server.listen({ host, port }), 'listening')
      await starting
      logger.info('admin server listening', { url: urlOf(server.address() as AddressInfo) })
    },
    async stop() {
      await starting?.catch(() => {})
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

function sendProbe(res: ServerResponse, { ok, body }: Probe): void {
  send(res, ok ? 200 : 503, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
}

function send(res: ServerResponse, status: number, type: string, text: string): void {
  res.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
  })
  res.end(text) // Node leaves the body out of the answer to HEAD.
}

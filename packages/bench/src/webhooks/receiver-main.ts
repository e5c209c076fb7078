/**
 * Endpoints of merchants, one for each path:
 *
 * - `/ok`: answers at once. `/arrivals` returns what has arrived there, `/count` the number.
 * - `/hang`: never answers.
 * - `/drip`: answers a byte a second.
 * - `/huge`: answers a gigabyte.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLogger } from '@cashflow/runtime'
import type { Arrival } from './receiver.ts'

const GIGABYTE = 2 ** 30
const CHUNK = Buffer.alloc(65_536, '.')

const logger = createLogger({ service: 'receiver', level: 'info' })
const arrivals: Arrival[] = []

const answers: Readonly<Record<string, (req: IncomingMessage, res: ServerResponse) => void>> = {
  '/ok': receive,
  '/arrivals': (_req, res) => res.end(JSON.stringify(arrivals)),
  '/count': (_req, res) => res.end(String(arrivals.length)),
  '/hang': () => {},
  '/drip'(_req, res) {
    res.writeHead(200)
    const timer = setInterval(() => res.write('.'), 1_000)
    res.once('close', () => clearInterval(timer))
  },
  '/huge'(_req, res) {
    res.writeHead(200, { 'content-length': GIGABYTE })
    const fill = () => {
      while (!res.closed && res.write(CHUNK));
    }
    res.on('drain', fill)
    fill()
  },
}

function receive(req: IncomingMessage, res: ServerResponse): void {
  let body = ''
  req.setEncoding('utf8')
  req.on('data', (text: string) => {
    body += text
  })
  req.on('end', () => {
    const atMs = Date.now()
    const { timestamp } = JSON.parse(body) as { timestamp: string }
    arrivals.push({ id: String(req.headers['webhook-id']), atMs, createdAtMs: Date.parse(timestamp) })
    res.writeHead(204).end()
  })
}

const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  res.on('error', () => {}) // The sender has closed the connection.
  const answer = answers[new URL(req.url ?? '', 'http://receiver').pathname]
  if (answer) answer(req, res)
  else res.writeHead(404).end()
})
server.listen(0, '127.0.0.1', () => {
  logger.info('listening', { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  logger.info('ready')
})
process.once('SIGTERM', () => process.exit(0))

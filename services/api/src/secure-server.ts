import { createServer, type Server, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Certificates } from '@cashflow/runtime'

const LOOK_EVERY_MS = 5_000

/**
 * Creates an HTTPS server for TLS 1.2 and newer. While it listens, it reads the certificate every 5 seconds, and new
 * connections use the one that was read last. fs.watch would miss files that are replaced by a changed link of their folder.
 */
export function createSecureServer(options: ServerOptions, certificates: { read(): Certificates }): Server {
  let current = certificates.read()
  const server = createServer({ ...options, ...contextOf(current) })
  function look(): void {
    const found = certificates.read()
    if (found === current) return
    current = found
    server.setSecureContext(contextOf(found))
  }
  let looking: NodeJS.Timeout | undefined
  server.on('listening', () => {
    looking = setInterval(look, LOOK_EVERY_MS).unref()
  })
  server.on('close', () => clearInterval(looking))
  return server
}

// setSecureContext keeps nothing of the former context.
function contextOf({ cert, key }: Certificates) {
  return { cert, key, minVersion: 'TLSv1.2' } as const
}

/** The socket under TLS, that of the server's event `connection`. A private field: no public one leads there. */
export function socketUnder(socket: TLSSocket): Socket {
  return (socket as unknown as { _parent: Socket })._parent
}

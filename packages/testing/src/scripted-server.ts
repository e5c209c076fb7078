import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { defined } from '@cashflow/async'

interface SeenRequest {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}

export type Script = (request: SeenRequest, response: ServerResponse) => void

export type ScriptedServer = Awaited<ReturnType<typeof startScriptedServer>>

/**
 * Starts a provider whose answers the test scripts, over real HTTP.
 *
 * @param tls certificate and key as PEM, for HTTPS
 */
export async function startScriptedServer(tls?: { cert: string; key: string }) {
  const seen: SeenRequest[] = []
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await text(request)
    const method = defined(request.method, 'method of a request')
    const path = defined(request.url, 'path of a request')
    const entry = { method, path, headers: request.headers, body }
    seen.push(entry)
    scripted.script(entry, response)
  }
  const server = tls ? createSecureServer(tls, serve) : createServer(serve)
  let secured = 0
  server.on('secureConnection', () => {
    secured += 1
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const scripted = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/charges`,
    seen,
    /** Number of TLS handshakes that succeeded. */
    secured: () => secured,
    script: answer(500),
    async close(): Promise<void> {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return scripted
}

export function answer(status: number, body?: unknown, headers: Record<string, string> = {}): Script {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : body && JSON.stringify(body))
  }
}

import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { LogPrinter } from '../log-printer.ts'
import { SandboxRefusal } from './refusal.ts'

const BODY_BYTES_MAX = 4_096
const CONNECTIONS_MAX = 64

/** What a request of a method and a path does, such as `POST /faults`. Its result is the answer. */
export type Routes = Readonly<Record<string, (body: unknown) => unknown>>

/** Serves JSON on a Unix socket that only this user can open. Replaces the socket of a run that was killed. */
export async function listenOnSocket(path: string, routes: Routes, log: LogPrinter['log']) {
  rmSync(path, { force: true })
  const server = createServer(listener(routes, log))
  server.maxConnections = CONNECTIONS_MAX
  // The folder is of this user alone, so no other user connects before the mode is set.
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  chmodSync(path, 0o600)
  return {
    async stop(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      rmSync(path, { force: true })
    },
  }
}

function listener(routes: Routes, log: LogPrinter['log']): RequestListener {
  return (request, response) => {
    const route = routes[`${request.method} ${request.url}`]
    void answer(request, route).then(
      (body) => send(response, 200, body),
      (error: unknown) => {
        if (error instanceof SandboxRefusal) return send(response, error.status, { error: error.message })
        log('error', 'sandbox: a request failed', { error: String(error) })
        send(response, 500, { error: 'The request could not be handled. The output of npm start has the error.' })
      },
    )
  }
}

async function answer(request: IncomingMessage, route: Routes[string] | undefined): Promise<unknown> {
  if (!route) throw new SandboxRefusal(404, 'The sandbox has no such path.')
  return await route(request.method === 'POST' ? await readBody(request) : undefined)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > BODY_BYTES_MAX) throw new SandboxRefusal(413, 'The body is too large.')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new SandboxRefusal(400, 'The body is no JSON.')
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const headers = { 'content-type': 'application/json', ...(status === 413 && { connection: 'close' }) }
  response.writeHead(status, headers).end(JSON.stringify(body))
}

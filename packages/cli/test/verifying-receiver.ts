import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'

/** Starts an HTTP server on a free port. */
export async function listen(listener: RequestListener) {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/cashflow`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/**
 * Answers as a receiver that verifies.
 *
 * @param tell says what it did. Default: nothing
 */
export const verifying =
  (
    secret: string,
    tell: (response: ServerResponse, headers: IncomingHttpHeaders) => void = () => {},
  ): RequestListener =>
  async (request, response) => {
    const body = await buffer(request)
    try {
      new Webhook(secret).verify(body, request.headers as Record<string, string>)
      tell(response, request.headers)
      response.writeHead(204).end()
    } catch {
      response.writeHead(400).end('not ours')
    }
  }

/** Says what a receiver does that keeps the highest sequence of each payment, in memory. */
export function tellOutcome(
  highest: Map<string, number>,
  response: ServerResponse,
  { 'webhook-id': id }: IncomingHttpHeaders,
): void {
  const [, subject = '', sequence = '0'] = /^evt_(.*)_(\d+)$/.exec(String(id)) ?? []
  const known = highest.get(subject) ?? 0
  const outcome = Number(sequence) > known ? 'handled' : Number(sequence) === known ? 'duplicate' : 'outdated'
  if (outcome === 'handled') highest.set(subject, Number(sequence))
  response.setHeader('Webhook-Outcome', outcome)
}

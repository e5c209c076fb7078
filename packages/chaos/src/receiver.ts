import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { now } from './payment-api.ts'
import type { Random } from './random.ts'

/**
 * `failing` answers with an error and may ask for a pause. `lying` keeps the webhook, and then does not say so in a way that
 * counts: an error, a redirect to another merchant's receiver, a connection that is cut. Some it accepts in two answers.
 */
export type ReceiverMode = 'normal' | 'slow' | 'failing' | 'lying'

/** A webhook that arrived. Times are in milliseconds since 1970, and in their order. */
export interface WebhookRequest {
  readonly at: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The secrets with which it is signed, by their places in the receiver's list. */
  readonly signedBy: number[]
  /** When it began to be answered with 2xx. Undefined without such an answer. */
  acceptedAt?: number
}

/** A secret that the API has shown. */
export interface Secret {
  readonly secret: string
  /** When its answer arrived, in milliseconds since 1970. */
  readonly since: number
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

const TWO_ANSWERS = 'HTTP/1.1 204 No Content\r\n\r\n'.repeat(2)

/** Starts the server of a webhook endpoint. It keeps each request, and checks its signature with the official package. */
export async function startReceiver(random: Random) {
  const requests: WebhookRequest[] = []
  const secrets: Secret[] = []
  let mode: ReceiverMode = 'normal'
  let elsewhere = ''

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = now()
    const received: WebhookRequest = { at, headers: request.headers, body: await text(request), signedBy: [] }
    requests.push(received)
    for (const place of secrets.keys()) verify(received, place)
    const say = (status: number, headers = {}) => void response.writeHead(status, headers).end()
    const accept = (act = () => say(204)) => {
      // The sender may have given up.
      if (response.destroyed) return
      received.acceptedAt = now()
      act()
    }
    switch (mode) {
      case 'normal':
      case 'slow':
        await sleep(mode === 'slow' ? random.int(500, 5_000) : random.int(0, 30), undefined, { ref: false })
        return accept()
      case 'failing':
        return say(random.pick([500, 503, 504, 404, 429]), random.chance(0.2) ? { 'retry-after': '1' } : {})
      case 'lying':
        return random.pick([
          () => say(500),
          () => say(307, { location: elsewhere }),
          () => void response.destroy(),
          () => accept(() => void response.socket?.end(TWO_ANSWERS)),
        ])()
      default:
        return mode satisfies never
    }
  }

  function verify(received: WebhookRequest, place: number): void {
    try {
      new Webhook(secrets[place]?.secret ?? '').verify(received.body, received.headers as Record<string, string>)
      received.signedBy.push(place)
    } catch {
      // A rule reports a request that no secret has signed.
    }
  }

  const server = createServer((request, response) => {
    // The sender has closed the connection.
    answer(request, response).catch(() => response.destroy())
  })
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const leave = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    url: `http://127.0.0.1:${port}/webhooks`,
    requests: requests as readonly WebhookRequest[],
    secrets: secrets as readonly Secret[],
    setMode(next: ReceiverMode) {
      mode = next
    },
    /** Sets where its redirects lead. */
    redirectTo(url: string) {
      elsewhere = url
    },
    /** Adds a secret. Requests that came before the API had shown it are checked with it too. */
    learn(secret: string) {
      const place = secrets.push({ secret, since: Date.now() }) - 1
      for (const request of requests) if (request.signedBy.length === 0) verify(request, place)
    },
    /** Connections are refused, and those that are open are cut, until `comeBack`. */
    leave,
    comeBack: () => listen(port),
    stop: leave,
  }
}

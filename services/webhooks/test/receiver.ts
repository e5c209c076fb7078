import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export interface Received {
  readonly id: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly at: number
  /** The body's `data`. */
  readonly data: { id: string; sequence: number; previous_event_id: string | null; [member: string]: unknown }
  readonly type: string
  /** Status of the answer, and when it was given. Undefined until it is answered. */
  status?: number
  answeredAt?: number
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

/** Answers a request. Returns a status, or answers by itself later. */
export type Answer = (received: Received, res: ServerResponse) => number | undefined

/** A receiver on a free port that keeps what it gets. */
export async function startReceiver(answer: Answer = () => 204) {
  const received: Received[] = []
  let current = answer
  let open = 0
  let openMax = 0
  const listener: RequestListener = (req, res) => {
    open += 1
    openMax = Math.max(openMax, open)
    res.once('close', () => {
      open -= 1
    })
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const { type, data } = JSON.parse(body)
      const id = String(req.headers['webhook-id'])
      const entry: Received = { id, headers: req.headers, body, at: performance.now(), data, type }
      received.push(entry)
      const status = current(entry, res)
      if (status === undefined) return
      entry.status = status
      entry.answeredAt = performance.now()
      res.writeHead(status).end()
    })
  }
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hooks`,
    received,
    ids: () => received.map(({ id }) => id),
    /** Most requests at the same time. */
    openMax: () => openMax,
    answerWith(next: Answer) {
      current = next
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Throws unless the official library of Standard Webhooks accepts a request with this secret. */
export function verifyWith(secret: string, { headers, body }: Pick<Received, 'headers' | 'body'>): void {
  new Webhook(secret).verify(body, headers as Record<string, string>)
}

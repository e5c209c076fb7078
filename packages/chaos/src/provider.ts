import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from './random.ts'

export type Verdict = 'approved' | 'declined'

/**
 * `failing` answers with an error of 5xx, `hanging` does not answer, and `lying` sends an unreadable answer. In these
 * three modes the money moves in half of the charges.
 *
 * `undecided` accepts charges and answers with 202, for keys whose charge it reports later.
 */
export type ProviderMode = 'normal' | 'slow' | 'undecided' | 'failing' | 'hanging' | 'lying'

/** One request, recorded when its head arrived. */
export interface ProviderRequest {
  /** POST requests a charge. GET asks for the charge of a key. */
  readonly method: string
  /** The idempotency key that the request names. */
  readonly key: string
  /** In milliseconds since 1970. */
  readonly beganAt: number
}

/** One request to charge with a readable body. */
export interface Charge {
  /** The idempotency key of the request. */
  readonly key: string
  readonly paymentId: string
  readonly amountMinor: number
  readonly currency: string
  /** When the request arrived, in milliseconds since 1970. */
  readonly beganAt: number
  /** True if money moved. */
  readonly moved: boolean
  /** True if a later GET for this key reports the charge. */
  readonly known: boolean
}

/** A decision that the provider has sent about a payment. */
export interface ProviderResponse {
  readonly key: string
  readonly verdict: Verdict
}

export type Provider = Awaited<ReturnType<typeof startProvider>>

const UNREADABLE = [Buffer.from([0xff, 0xfe, 0x00]), '{"status":"appro', '{"status":"perhaps"}', '', '[]', '"approved"']

/**
 * Starts the provider that moves the money. It never deduplicates: each request to charge is another charge, with its
 * own decision. A GET reports the charge of one half of all keys, and answers 404 for the others.
 */
export async function startProvider(random: Random) {
  const requests: ProviderRequest[] = []
  const charges: Charge[] = []
  const responses: ProviderResponse[] = []
  const found = new Map<string, Verdict>()
  const held = new Set<ServerResponse>()
  const refused = new Set<string>()
  let mode: ProviderMode = 'normal'

  async function charge(request: IncomingMessage, { key, beganAt }: ProviderRequest): Promise<Verdict | 'refused'> {
    const body = (await json(request)) as Record<'payment_id' | 'reference' | 'currency', string> & {
      amount_minor: number
    }
    if (refused.has(body.reference)) return 'refused'
    const hasMoved = ['normal', 'slow', 'undecided'].includes(mode) || random.chance(0.5)
    const verdict = random.chance(0.7) ? 'approved' : 'declined'
    const known = Number.parseInt(key.slice(-1), 16) < 8 // The last digit of a UUID is random.
    if (hasMoved && known) found.set(key, verdict)
    const { payment_id: paymentId, amount_minor: amountMinor, currency } = body
    charges.push({ key, paymentId, amountMinor, currency, beganAt, moved: hasMoved, known })
    return verdict
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrived = arrival(request)
    requests.push(arrived)
    const { key, method } = arrived
    const verdict = method === 'GET' ? found.get(key) : await charge(request, arrived)
    if (verdict === 'refused') return say(response, 400, '')
    const isUndecided = mode === 'undecided' && found.has(key)
    if (isUndecided) return say(response, 202, '{"status":"pending"}', { 'retry-after': '1' })
    switch (mode) {
      case 'normal':
      case 'undecided':
      case 'slow':
        await sleep(mode === 'slow' ? random.int(500, 5_000) : random.int(1, 60), undefined, { ref: false })
        if (verdict && !response.destroyed) responses.push({ key, verdict })
        return say(response, verdict ? 200 : 404, JSON.stringify({ status: verdict }))
      case 'failing':
        return say(response, random.pick([500, 502, 503]), '')
      case 'lying':
        return say(response, 200, random.pick(UNREADABLE))
      case 'hanging':
        held.add(response)
        return
      default:
        return mode satisfies never
    }
  }

  const server = createServer((request, response) => {
    response.on('close', () => held.delete(response))
    // The client has closed the connection.
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/charges`,
    setMode(next: ProviderMode) {
      mode = next
      for (const response of held) response.destroy()
    },
    /** References of the payments that it refuses, without a charge. */
    refused,
    requests: requests as readonly ProviderRequest[],
    charges: charges as readonly Charge[],
    responses: responses as readonly ProviderResponse[],
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function arrival({ method = '', url = '', headers }: IncomingMessage): ProviderRequest {
  const key = method === 'GET' ? url.split('/').at(-1) : headers['idempotency-key']
  return { method, key: String(key), beganAt: Date.now() }
}

function say(response: ServerResponse, status: number, body: string | Buffer, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

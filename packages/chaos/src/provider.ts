import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Random } from './random.ts'

export type Verdict = 'approved' | 'declined'

/**
 * `failing` says 503, `hanging` says nothing, `lying` says what cannot be read; half of the time the money moved.
 * `undecided` takes charges and says 202, but only of keys of which it tells the truth later.
 */
export type Mood = 'well' | 'slow' | 'undecided' | 'failing' | 'hanging' | 'lying'

/** One request, whatever it holds, as its head arrived. */
export interface ProviderRequest {
  /** POST asks to charge, GET for the charge of a key. */
  readonly method: string
  /** The idempotency key that it names. */
  readonly key: string
  /** In milliseconds since 1970. */
  readonly beganAt: number
}

/** One request to charge that could be read. */
export interface Charge {
  /** Its idempotency key. */
  readonly key: string
  readonly paymentId: string
  readonly amountMinor: number
  readonly currency: string
  /** When it arrived, in milliseconds since 1970. */
  readonly beganAt: number
  /** Whether money moved. */
  readonly moved: boolean
  /** Whether it said so when it was asked for this key afterwards. */
  readonly known: boolean
}

/** What it has answered about a payment. */
export interface Told {
  readonly key: string
  readonly verdict: Verdict
}

/**
 * Whoever moves the money. It never deduplicates: each request to charge is another charge, decided anew. Asked for the
 * charges of a key it tells the truth about one half of all keys, and knows nothing of the others.
 */
export interface Provider {
  readonly url: string
  mood: Mood
  readonly requests: readonly ProviderRequest[]
  readonly charges: readonly Charge[]
  readonly told: readonly Told[]
  stop(): Promise<void>
}

const UNREADABLE = [Buffer.from([0xff, 0xfe, 0x00]), '{"status":"appro', '{"status":"perhaps"}', '', '[]', '"approved"']

export async function startProvider(random: Random): Promise<Provider> {
  const requests: ProviderRequest[] = []
  const charges: Charge[] = []
  const told: Told[] = []
  const found = new Map<string, Verdict>()
  const held = new Set<ServerResponse>()
  let mood: Mood = 'well'

  async function charge(request: IncomingMessage, { key, beganAt }: ProviderRequest): Promise<Verdict> {
    const body = (await json(request)) as { payment_id: string; amount_minor: number; currency: string }
    const hasMoved = ['well', 'slow', 'undecided'].includes(mood) || random.chance(0.5)
    const verdict = random.chance(0.7) ? 'approved' : 'declined'
    const known = isKnown(key)
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
    const isUndecided = mood === 'undecided' && found.has(key)
    if (isUndecided) return say(response, 202, '{"status":"pending"}', { 'retry-after': '1' })
    switch (mood) {
      case 'well':
      case 'undecided':
      case 'slow':
        await later(random.int(...answersAfterMs(mood)))
        if (verdict && !response.destroyed) told.push({ key, verdict })
        return say(response, verdict ? 200 : 404, JSON.stringify({ status: verdict }))
      case 'failing':
        return say(response, random.pick([500, 502, 503]), '')
      case 'lying':
        return say(response, 200, random.pick(UNREADABLE))
      case 'hanging':
        held.add(response)
        return
      default:
        return mood satisfies never
    }
  }

  const server = createServer((request, response) => {
    response.on('close', () => held.delete(response))
    // Whoever asked is gone.
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/charges`,
    get mood() {
      return mood
    },
    set mood(next) {
      mood = next
      for (const response of held) response.destroy()
    },
    requests,
    charges,
    told,
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

/** By the last digit of a UUID, which is random. */
function isKnown(key: string): boolean {
  return Number.parseInt(key.at(-1) ?? '', 16) < 8
}

function answersAfterMs(mood: Mood): [min: number, max: number] {
  return mood === 'slow' ? [500, 5_000] : [1, 60]
}

function later(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs).unref())
}

function say(response: ServerResponse, status: number, body: string | Buffer, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

import { defined, pause } from '@cashflow/async'
import { askAll, PATIENCE_MS } from './final-requests.ts'
import { integrate } from './integrators.ts'
import { type Key, keysOf, type Merchant } from './merchants.ts'
import { get, isAnswer, post } from './payment-api.ts'
import { type Answer, idOf, type PaymentRequest, type View, WEBHOOK_SIMULATIONS } from './payment-request.ts'
import { createRandom, type Random } from './random.ts'

export type Clients = ReturnType<typeof createClients>

export interface ClientsOptions {
  /** Each request goes to one of them, chosen at random. */
  apiUrls: readonly string[]
  /** The clients belong to them in turn. Clients of different merchants use the same references and idempotency keys. */
  merchants: readonly Merchant[]
  count: number
  /** New payments per second of all clients together. */
  perSecond: number
  seed: number
  patienceMs?: number
}

const RETRY_MS = 500
const RETRY_MAX_MS = 4_000
/** Maximum number of payments that one client waits for. More would overload the system after an outage. */
const OPEN_MAX = 20
/** Share of clients that give up after the first request without an answer, as impatient users do. */
const IMPATIENT_SHARE = 0.2
/** Share of created payments that the client sends once more. */
const REPEATED_SHARE = 0.05
const KEYED_SHARE = 0.5
const METADATA_SHARE = 0.3
/** Share of metadata that disturbs the webhooks of its payment. */
const SIMULATED_SHARE = 0.3
/** Share of payments that another merchant tries to read while there is load. */
const FOREIGN_SHARE = 0.25

/**
 * Creates clients that create payments, retry as the documentation advises, and read what they created. Every other one of a
 * merchant's clients uses `@cashflow/client`, always with an idempotency key.
 */
export function createClients(options: ClientsOptions) {
  const { apiUrls, merchants, count, perSecond, seed, patienceMs = PATIENCE_MS } = options
  const paymentRequests: PaymentRequest[] = []
  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  const byPackage: typeof follow = (one, _, random) => integrate(one, { ...options, random, signal: stopping.signal })
  const merchantAt = (index: number) => defined(merchants[index % merchants.length], 'merchant')

  /** Creates payments by the clock. Slow ones are waited for in parallel with the next ones. */
  async function run(client: number): Promise<void> {
    const random = createRandom(seed * 1_000 + client)
    const own: PaymentRequest[] = []
    const open = new Set<Promise<void>>()
    const place = Math.floor(client / merchants.length) // Of this client among those of its merchant.
    const [act, keyedShare] = place % 2 === 1 ? [byPackage, 1] : [follow, KEYED_SHARE]
    const everyMs = (count * 1_000) / perSecond
    let dueAt = performance.now() + random.int(0, everyMs)
    for (let number = 0; ; number++) {
      await wait(dueAt - performance.now())
      if (open.size >= OPEN_MAX) await Promise.race(open)
      if (stopping.signal.aborted) break
      // Missed payments are not caught up, so that clients which waited together do not continue in step.
      dueAt += everyMs * Math.max(1, Math.ceil((performance.now() - dueAt) / everyMs))
      const request = drawRequest(merchantAt(client), `${place}-${number}`, random, { keyedShare })
      paymentRequests.push(request)
      own.push(request)
      // A separate source of chance: otherwise a client's next payment would depend on when this one is answered.
      const chance = createRandom(random.int(0, 2 ** 31 - 1))
      const followed: Promise<void> = act(request, random.pick(own), chance).finally(() => open.delete(followed))
      open.add(followed)
    }
    await Promise.all(open)
  }

  /** Creates the payment, and reads it and another one of the client. Another merchant may try to read it too. */
  async function follow(request: PaymentRequest, other: PaymentRequest, random: Random): Promise<void> {
    await create(request, random)
    const isForeign = random.chance(FOREIGN_SHARE)
    for (const one of [request, other])
      if (!stopping.signal.aborted) await read(one, one.views, keysOf(merchants, one).own, random.pick(apiUrls))
    if (isForeign && !stopping.signal.aborted)
      await read(request, request.foreignViews, keysOf(merchants, request).foreign, random.pick(apiUrls))
  }

  /** Sends the payment until it exists, or until the client gives up. */
  async function create(request: PaymentRequest, random: Random): Promise<void> {
    const impatient = random.chance(IMPATIENT_SHARE)
    const repeated = random.chance(REPEATED_SHARE)
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(2 * retryMs, RETRY_MAX_MS)) {
      const answer = await send(request, keysOf(merchants, request).own, random.pick(apiUrls))
      if (answer.status === 201 && repeated) await send(request, keysOf(merchants, request).own, random.pick(apiUrls))
      if (answer.status === 201 || answer.status === 409 || (answer.status === 'none' && impatient)) return
      await wait(retryMs)
      if (stopping.signal.aborted) return
    }
  }

  const wait = (ms: number) => pause(Math.max(0, ms), stopping.signal)
  return {
    paymentRequests: paymentRequests as readonly PaymentRequest[],
    start() {
      running = Promise.all(Array.from({ length: count }, (_, client) => run(client)))
      running.catch(() => {}) // `stop` throws the error.
    },
    /** Stops the load. Resolves when each client has received, or given up, its last answer. */
    async stop() {
      stopping.abort()
      await running
    },
    /** Creates one more payment, with webhooks as usual. @throws Error unless this API answers with 201 */
    async create(apiUrl: string) {
      const number = paymentRequests.length
      const request = drawRequest(merchantAt(number), `last-${number}`, createRandom(seed), { simulatedShare: 0 })
      paymentRequests.push(request)
      const { status } = await send(request, keysOf(merchants, request).own, apiUrl)
      if (status !== 201) throw new Error(`answered with ${status}`)
    },
    askAll: () => askAll(paymentRequests, { apiUrls, merchants, patienceMs }),
  }
}

async function send(request: PaymentRequest, key: Key, apiUrl: string): Promise<Answer> {
  const answer = await post(apiUrl, request, key)
  request.answers.push(answer)
  return answer
}

async function read(request: PaymentRequest, views: View[], key: Key | undefined, apiUrl: string): Promise<void> {
  const id = idOf(request)
  if (id === undefined || key === undefined) return
  const view = await get(apiUrl, id, key, { isFinal: false })
  if (isAnswer(view)) views.push(view)
}

function drawRequest(
  { id: merchantId }: Merchant,
  reference: string,
  random: Random,
  { keyedShare = KEYED_SHARE, simulatedShare = SIMULATED_SHARE } = {},
): PaymentRequest {
  const [amountMinor, currency] = [random.int(1, 10_000_000), random.pick(['USD', 'ETB'])]
  return {
    merchantId,
    reference,
    amountMinor,
    currency,
    ...(random.chance(METADATA_SHARE) && { metadata: drawMetadata(reference, random, simulatedShare) }),
    ...(random.chance(keyedShare) && { idempotencyKey: `key:${reference}` }),
    answers: [],
    views: [],
    foreignViews: [],
    cancels: [],
    histories: [],
  }
}

/** Not in the order in which it is answered. */
function drawMetadata(reference: string, random: Random, simulatedShare: number): Record<string, string> {
  const simulate = random.chance(simulatedShare) && { simulate: random.pick(WEBHOOK_SIMULATIONS) }
  return { order: reference, 10: 'ten', 9: 'nine', ...simulate }
}

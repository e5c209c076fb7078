import { pause } from '@cashflow/async'
import { get, post, showsState } from './payment-api.ts'
import { idOf, type PaymentRequest } from './payment-request.ts'
import { createRandom, type Random } from './random.ts'

export type Clients = ReturnType<typeof createClients>

export interface ClientsOptions {
  /** Each request goes to one of them, chosen at random. */
  apiUrls: readonly string[]
  count: number
  /** New payments per second of all clients together. */
  perSecond: number
  seed: number
  finalReadMs?: number
}

const RETRY_MS = 500
const RETRY_MAX_MS = 4_000
/** Maximum number of payments that one client waits for. More would overload the system after an outage. */
const OPEN_MAX = 20
/** Share of clients that give up after the first request without an answer, as impatient users do. */
const IMPATIENT_SHARE = 0.2
/** Share of created payments that the client sends once more. */
const REPEATED_SHARE = 0.05
/** Time after which the final reads give up an API that does not answer. */
const FINAL_READ_MS = 60_000
const FINAL_READERS = 16
const FINAL_RETRY_MS = 500

/** Creates clients that create payments, retry as the documentation advises, and read what they created. */
export function createClients(options: ClientsOptions) {
  const { apiUrls, count, perSecond, seed, finalReadMs = FINAL_READ_MS } = options
  const paymentRequests: PaymentRequest[] = []
  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  /** Creates payments by the clock. Slow ones are waited for in parallel with the next ones. */
  async function run(client: number): Promise<void> {
    const random = createRandom(seed * 1_000 + client)
    const own: PaymentRequest[] = []
    const open = new Set<Promise<void>>()
    const everyMs = (count * 1_000) / perSecond
    let dueAt = performance.now() + random.int(0, everyMs)
    for (let number = 0; ; number++) {
      await wait(dueAt - performance.now())
      if (open.size >= OPEN_MAX) await Promise.race(open)
      if (stopping.signal.aborted) break
      // Missed payments are not caught up, so that clients which waited together do not continue in step.
      dueAt += everyMs * Math.max(1, Math.ceil((performance.now() - dueAt) / everyMs))
      const request = drawRequest(`${client}-${number}`, random)
      paymentRequests.push(request)
      own.push(request)
      // A separate source of chance: otherwise a client's next payment would depend on when this one is answered.
      const chance = createRandom(random.int(0, 2 ** 31 - 1))
      const followed: Promise<void> = follow(request, random.pick(own), chance).finally(() => open.delete(followed))
      open.add(followed)
    }
    await Promise.all(open)
  }

  /** Creates the payment, and reads it and another one of the client. */
  async function follow(request: PaymentRequest, other: PaymentRequest, random: Random): Promise<void> {
    await create(request, random)
    for (const one of [request, other]) if (!stopping.signal.aborted) await read(one, random.pick(apiUrls))
  }

  /** Sends the payment until it exists, or until the client gives up. */
  async function create(request: PaymentRequest, random: Random): Promise<void> {
    const impatient = random.chance(IMPATIENT_SHARE)
    const repeated = random.chance(REPEATED_SHARE)
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(2 * retryMs, RETRY_MAX_MS)) {
      const answer = await post(random.pick(apiUrls), request)
      request.answers.push(answer)
      if (answer.status === 201 && repeated) request.answers.push(await post(random.pick(apiUrls), request))
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
    },
    /** Stops the load. Resolves when each client has received, or given up, its last answer. */
    async stop() {
      stopping.abort()
      await running
    },
    /** Creates one more payment. @throws Error unless this API answers with 201 */
    async create(apiUrl: string) {
      const request = drawRequest(`last-${paymentRequests.length}`, createRandom(seed))
      paymentRequests.push(request)
      const answer = await post(apiUrl, request)
      request.answers.push(answer)
      if (answer.status !== 201) throw new Error(`answered with ${answer.status}`)
    },
    readAll: () => readAll(paymentRequests, apiUrls, finalReadMs),
  }
}

async function read(request: PaymentRequest, apiUrl: string): Promise<void> {
  const id = idOf(request)
  if (id === undefined) return
  const view = await get(apiUrl, id, { isFinal: false })
  if (showsState(view)) request.views.push(view)
}

function drawRequest(reference: string, random: Random): PaymentRequest {
  const [amountMinor, currency] = [random.int(1, 10_000_000), random.pick(['USD', 'ETB'])]
  return { reference, amountMinor, currency, answers: [], views: [] }
}

/**
 * Reads each payment through each API, after the system has settled. A missing answer, or a 503, is retried for
 * `finalReadMs` milliseconds, and is then recorded as the answer.
 */
async function readAll(
  paymentRequests: readonly PaymentRequest[],
  apiUrls: readonly string[],
  finalReadMs: number,
): Promise<void> {
  const unresponsive = new Set<string>()

  async function read(request: PaymentRequest, id: string, apiUrl: string): Promise<void> {
    const giveUpAt = performance.now() + finalReadMs
    // An API that does not answer costs `finalReadMs` once, not once for each payment.
    while (!unresponsive.has(apiUrl)) {
      const view = await get(apiUrl, id, { isFinal: true })
      const isLate = performance.now() >= giveUpAt
      if (showsState(view) || isLate) request.views.push(view)
      if (showsState(view)) return
      if (isLate) unresponsive.add(apiUrl)
      else await pause(FINAL_RETRY_MS)
    }
  }

  const remaining = paymentRequests.values()
  const readRemaining = async () => {
    // All readers share the iterator, so each payment is read by one of them.
    for (const request of remaining) {
      const id = idOf(request)
      if (id !== undefined) for (const apiUrl of apiUrls) await read(request, id, apiUrl)
    }
  }
  await Promise.all(Array.from({ length: FINAL_READERS }, readRemaining))
}

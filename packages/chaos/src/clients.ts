import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom, type Random } from './random.ts'

/** `none`: no answer came, or not in time. */
export type Answer = { readonly at: number; readonly status: number | 'none'; readonly paymentId?: string }

/** One payment as its client knows it. */
export interface Wish {
  readonly reference: string
  readonly amountMinor: number
  readonly currency: string
  /** To each time it was sent, in order; `at` in milliseconds since 1970. */
  readonly answers: readonly Answer[]
  /** Each state that a GET has shown. */
  readonly views: readonly View[]
}

export interface View {
  readonly at: number
  /** The payment's, or `missing` for a 404. */
  readonly status: string
}

export interface Clients {
  readonly wishes: readonly Wish[]
  /** Begins. */
  start(): void
  /** Resolves when each has got, or given up, its last answer. */
  stop(): Promise<void>
}

export interface ClientsOptions {
  /** One of them is asked at random, each time. */
  apiUrls: readonly string[]
  count: number
  /** New payments of all clients together. */
  perSecond: number
  seed: number
}

interface Draft extends Wish {
  readonly answers: Answer[]
  readonly views: View[]
}

const ANSWER_MS = 10_000
const RETRY_MS = 500
/** Who gives up after the first request that was not answered, as impatient people do. */
const IMPATIENT_SHARE = 0.2

/** Clients that create payments, try again as docs say, and look at what they made. */
export function createClients({ apiUrls, count, perSecond, seed }: ClientsOptions): Clients {
  const wishes: Draft[] = []
  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  async function run(client: number): Promise<void> {
    const random = createRandom(seed * 1_000 + client)
    const own: Draft[] = []
    const everyMs = (count * 1_000) / perSecond
    await pause(random.int(0, everyMs))
    for (let number = 0; !stopping.signal.aborted; number++) {
      const startedAt = performance.now()
      const wish: Draft = { reference: `${client}-${number}`, ...drawMoney(random), answers: [], views: [] }
      wishes.push(wish)
      own.push(wish)
      await create(wish, random)
      await look(wish, random)
      await look(random.pick(own), random)
      await pause(everyMs - (performance.now() - startedAt))
    }
  }

  /** Until it is there, or the client loses patience. */
  async function create(wish: Draft, random: Random): Promise<void> {
    const impatient = random.chance(IMPATIENT_SHARE)
    do {
      const answer = await post(random.pick(apiUrls), wish)
      wish.answers.push(answer)
      if (answer.paymentId !== undefined || (answer.status === 'none' && impatient)) return
      await pause(RETRY_MS)
    } while (!stopping.signal.aborted)
  }

  async function look(wish: Draft, random: Random): Promise<void> {
    const id = idOf(wish)
    if (id === undefined || stopping.signal.aborted) return
    const at = Date.now()
    const response = await ask(`${random.pick(apiUrls)}/api/v1/payments/${id}`)
    if (response?.status === 200) wish.views.push({ at, status: String(response.body.status) })
    if (response?.status === 404) wish.views.push({ at, status: 'missing' })
  }

  const pause = (ms: number) => sleep(Math.max(0, ms), undefined, { signal: stopping.signal }).catch(() => {})
  return {
    wishes,
    start() {
      running = Promise.all(Array.from({ length: count }, (_, client) => run(client)))
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

export function idOf(wish: Wish): string | undefined {
  return wish.answers.find(({ paymentId }) => paymentId !== undefined)?.paymentId
}

function drawMoney(random: Random): { amountMinor: number; currency: string } {
  return { amountMinor: random.int(1, 10_000_000), currency: random.pick(['USD', 'ETB']) }
}

async function post(apiUrl: string, { reference, amountMinor, currency }: Wish): Promise<Answer> {
  const response = await ask(`${apiUrl}/api/v1/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ amount: (amountMinor / 100).toFixed(2), currency, reference }),
  })
  const at = Date.now()
  if (!response) return { at, status: 'none' }
  const { status, body } = response
  const paymentId = status === 201 ? body.id : status === 409 ? body.payment_id : undefined
  return { at, status, ...(typeof paymentId === 'string' && { paymentId }) }
}

/** Undefined without an answer that could be read to its end. */
async function ask(url: string, init: RequestInit = {}) {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_MS) })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  } catch {
    return undefined
  }
}

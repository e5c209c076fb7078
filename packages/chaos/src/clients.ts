import { setTimeout as sleep } from 'node:timers/promises'
import { get, post } from './payment-api.ts'
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
  /** What each GET has shown. One that was not answered, or with 503, shows nothing and is not here unless it is a last one. */
  readonly views: readonly View[]
}

export interface View {
  /** When it was asked for, in milliseconds since 1970. */
  readonly at: number
  readonly answeredAt: number
  readonly status: Answer['status']
  /** With a 200. */
  readonly payment?: Shown
  /** Made when all was over. */
  readonly isLast: boolean
}

/** Whatever the members of an answer held. */
export type Shown = Readonly<Record<'id' | 'status' | 'amount' | 'currency' | 'reference', unknown>>

export interface Clients {
  readonly wishes: readonly Wish[]
  /** Begins. */
  start(): void
  /** Resolves when each has got, or given up, its last answer. */
  stop(): Promise<void>
  /** Creates one more payment. @throws Error unless this API answers with 201 */
  create(apiUrl: string): Promise<void>
  /** Looks at each payment through each API, when all is settled. */
  lookAtAll(): Promise<void>
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

const RETRY_MS = 500
const RETRY_MAX_MS = 4_000
/** Payments that a client waits for at once; more would bury whoever comes back after an outage. */
const OPEN_MAX = 20
/** Who gives up after the first request that was not answered, as impatient people do. */
const IMPATIENT_SHARE = 0.2
/** Who sends once more what was created. */
const REPEATED_SHARE = 0.05
const LAST_LOOKS_AT_ONCE = 16
const LAST_LOOK_TRIES = 10

/** Clients that create payments, try again as docs say, and look at what they made. */
export function createClients({ apiUrls, count, perSecond, seed }: ClientsOptions): Clients {
  const wishes: Draft[] = []
  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  /** By the clock: what takes long is waited for beside what comes next. */
  async function run(client: number): Promise<void> {
    const random = createRandom(seed * 1_000 + client)
    const own: Draft[] = []
    const open = new Set<Promise<void>>()
    const everyMs = (count * 1_000) / perSecond
    let dueAt = performance.now() + random.int(0, everyMs)
    for (let number = 0; ; number++) {
      await pause(dueAt - performance.now())
      if (open.size >= OPEN_MAX) await Promise.race(open)
      if (stopping.signal.aborted) break
      // What could not begin in time is not made up for.
      dueAt = Math.max(dueAt + everyMs, performance.now())
      const wish: Draft = { reference: `${client}-${number}`, ...drawMoney(random), answers: [], views: [] }
      wishes.push(wish)
      own.push(wish)
      // Chance of its own, or what a client wants next would depend on when it is answered.
      const life = live(wish, random.pick(own), createRandom(random.int(0, 2 ** 31 - 1)))
      const settled: Promise<void> = life.finally(() => open.delete(settled))
      open.add(settled)
    }
    await Promise.all(open)
  }

  async function live(wish: Draft, other: Draft, random: Random): Promise<void> {
    await create(wish, random)
    await look(wish, random)
    await look(other, random)
  }

  /** Until it is there, or the client loses patience. */
  async function create(wish: Draft, random: Random): Promise<void> {
    const impatient = random.chance(IMPATIENT_SHARE)
    const repeated = random.chance(REPEATED_SHARE)
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(2 * retryMs, RETRY_MAX_MS)) {
      const answer = await post(random.pick(apiUrls), wish)
      wish.answers.push(answer)
      if (answer.status === 201 && repeated) wish.answers.push(await post(random.pick(apiUrls), wish))
      if (answer.status === 201 || answer.status === 409 || (answer.status === 'none' && impatient)) return
      await pause(retryMs)
      if (stopping.signal.aborted) return
    }
  }

  async function look(wish: Draft, random: Random): Promise<void> {
    const id = idOf(wish)
    if (id === undefined || stopping.signal.aborted) return
    const view = await get(random.pick(apiUrls), id, { isLast: false })
    if (showsSomething(view)) wish.views.push(view)
  }

  /** Nothing is in the way any more: no answer, or 503, is tried again a few times, and then is the answer. */
  async function lookOnceMore(wish: Draft, id: string, apiUrl: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const view = await get(apiUrl, id, { isLast: true })
      if (showsSomething(view) || tries === LAST_LOOK_TRIES) return void wish.views.push(view)
      await sleep(RETRY_MS)
    }
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
    async create(apiUrl) {
      const reference = `last-${wishes.length}`
      const wish: Draft = { reference, ...drawMoney(createRandom(seed)), answers: [], views: [] }
      wishes.push(wish)
      const answer = await post(apiUrl, wish)
      wish.answers.push(answer)
      if (answer.status !== 201) throw new Error(`answered with ${answer.status}`)
    },
    async lookAtAll() {
      const left = wishes[Symbol.iterator]()
      const work = async () => {
        // Shared: each takes the next one that nobody has taken.
        for (const wish of left) {
          const id = idOf(wish)
          if (id !== undefined) for (const apiUrl of apiUrls) await lookOnceMore(wish, id, apiUrl)
        }
      }
      await Promise.all(Array.from({ length: LAST_LOOKS_AT_ONCE }, work))
    },
  }
}

export function idOf(wish: Wish): string | undefined {
  return wish.answers.find(({ paymentId }) => paymentId !== undefined)?.paymentId
}

function showsSomething({ status }: View): boolean {
  return status !== 'none' && status !== 503
}

function drawMoney(random: Random): { amountMinor: number; currency: string } {
  return { amountMinor: random.int(1, 10_000_000), currency: random.pick(['USD', 'ETB']) }
}

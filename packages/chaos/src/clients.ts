import { setTimeout as sleep } from 'node:timers/promises'
import { lookAtAll } from './last-looks.ts'
import { get, post, showsSomething } from './payment-api.ts'
import { createRandom, type Random } from './random.ts'
import { type Draft, idOf, type Wish } from './wish.ts'

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
  lastLookMs?: number
}

const RETRY_MS = 500
const RETRY_MAX_MS = 4_000
/** Payments that a client waits for at once; more would bury whoever comes back after an outage. */
const OPEN_MAX = 20
/** Who gives up after the first request that was not answered, as impatient people do. */
const IMPATIENT_SHARE = 0.2
/** Who sends once more what was created. */
const REPEATED_SHARE = 0.05
/** After which an API that does not answer is given up, when all is over. */
const LAST_LOOK_MS = 60_000

/** Clients that create payments, try again as docs say, and look at what they made. */
export function createClients(options: ClientsOptions): Clients {
  const { apiUrls, count, perSecond, seed, lastLookMs = LAST_LOOK_MS } = options
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
      // What could not begin in time is not made up for, and clients that waited together do not go on in step.
      dueAt += everyMs * Math.max(1, Math.ceil((performance.now() - dueAt) / everyMs))
      const wish: Draft = { reference: `${client}-${number}`, ...drawMoney(random), answers: [], views: [] }
      wishes.push(wish)
      own.push(wish)
      // Chance of its own, or what a client wants next would depend on when it is answered.
      const chance = createRandom(random.int(0, 2 ** 31 - 1))
      const life: Promise<void> = live(wish, random.pick(own), chance).finally(() => open.delete(life))
      open.add(life)
    }
    await Promise.all(open)
  }

  async function live(wish: Draft, other: Draft, random: Random): Promise<void> {
    await create(wish, random)
    for (const looked of [wish, other]) if (!stopping.signal.aborted) await look(looked, random.pick(apiUrls))
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
    create: (apiUrl) => createLast(wishes, apiUrl, createRandom(seed)),
    lookAtAll: () => lookAtAll(wishes, apiUrls, { lastLookMs }),
  }
}

async function look(wish: Draft, apiUrl: string): Promise<void> {
  const id = idOf(wish)
  if (id === undefined) return
  const view = await get(apiUrl, id, { isLast: false })
  if (showsSomething(view)) wish.views.push(view)
}

async function createLast(wishes: Draft[], apiUrl: string, random: Random): Promise<void> {
  const wish: Draft = { reference: `last-${wishes.length}`, ...drawMoney(random), answers: [], views: [] }
  wishes.push(wish)
  const answer = await post(apiUrl, wish)
  wish.answers.push(answer)
  if (answer.status !== 201) throw new Error(`answered with ${answer.status}`)
}

function drawMoney(random: Random): { amountMinor: number; currency: string } {
  return { amountMinor: random.int(1, 10_000_000), currency: random.pick(['USD', 'ETB']) }
}

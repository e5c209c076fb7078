import { eventually, pause } from '@cashflow/async'
import { CashflowError } from '@cashflow/client'
import { call } from './client-call.ts'
import { PATIENCE_MS } from './final-requests.ts'
import type { Merchant } from './merchants.ts'
import type { Answer } from './payment-request.ts'
import { createRandom } from './random.ts'

/** What a merchant has read of its events. */
export interface Feed {
  readonly merchantId: string
  /** The pages of its follower, in order. */
  readonly pages: FeedPage[]
  /** The status of each answer without a page. */
  readonly failures: Answer['status'][]
  /** The ids of all events, read from the beginning after the system had settled. Undefined if that failed. */
  whole?: readonly string[] | undefined
}

export interface FeedPage {
  /** In milliseconds since 1970. */
  readonly at: number
  /** The ids of its events. */
  readonly ids: readonly string[]
  /** False if the follower was killed before it had stored the cursor. */
  readonly isStored: boolean
}

export type Followers = ReturnType<typeof createFollowers>

export interface FollowersOptions {
  apiUrls: readonly string[]
  /** Each of them has one follower. */
  merchants: readonly Merchant[]
  seed: number
}

/** Bounds of a follower's life, in milliseconds. */
const LIFE_MS = [500, 10_000] as const
const AGAIN_MS = 200
/** Share of pages whose follower is killed before it stores the cursor. */
const KILLED_SHARE = 0.1
const PAGE_MAX = 100

/**
 * Creates programs that follow the events of their merchants, and that are killed all the time. The next one of a merchant
 * begins after the cursor that was stored, through any API, with the merchant's present key.
 */
export function createFollowers({ apiUrls, merchants, seed }: FollowersOptions) {
  const stopping = new AbortController()
  const all = merchants.map((merchant, index) => ({
    merchant,
    feed: { merchantId: merchant.id, pages: [], failures: [] } as Feed,
    random: createRandom(seed * 1_000 + 500 + index),
  }))
  let running: Promise<unknown> = Promise.resolve()

  async function follow({ merchant, feed, random }: (typeof all)[number]): Promise<void> {
    let cursor: string | undefined
    while (!stopping.signal.aborted) {
      const life = AbortSignal.any([stopping.signal, AbortSignal.timeout(random.int(...LIFE_MS))])
      const place = { apiUrl: random.pick(apiUrls), key: merchant.key }
      const readOn = call(
        place,
        async (client, answered) => {
          for await (const page of client.events({ after: cursor, limit: PAGE_MAX, follow: true, signal: life })) {
            answered()
            const isStored = !random.chance(KILLED_SHARE)
            feed.pages.push({ at: Date.now(), ids: page.data.map(({ id }) => id), isStored })
            if (!isStored) return
            cursor = page.next_cursor
          }
        },
        (status) => feed.failures.push(status),
      )
      await unlessAborted(readOn, life)
      await pause(AGAIN_MS, stopping.signal)
    }
  }

  /** Reads the whole feed through one API. */
  async function readWhole({ merchant, feed, random }: (typeof all)[number], signal: AbortSignal): Promise<void> {
    const reading = call(
      { apiUrl: random.pick(apiUrls), key: merchant.key },
      async (client, answered) => {
        const ids: string[] = []
        for await (const page of client.events({ limit: PAGE_MAX, follow: true, signal })) {
          answered()
          ids.push(...page.data.map(({ id }) => id))
          if (!page.has_more && page.delayed_ms === 0) break
        }
        return ids
      },
      (status) => feed.failures.push(status),
    )
    const ids = await unlessAborted(reading, signal)
    if (!(ids instanceof CashflowError)) feed.whole = ids
  }

  async function stop(): Promise<void> {
    stopping.abort()
    await running
  }

  return {
    feeds: all.map(({ feed }) => feed) as readonly Feed[],
    start() {
      running = Promise.all(all.map(follow))
      running.catch(() => {}) // `stop` throws the error.
    },
    stop,
    /** Reads each feed once more, waits until the followers have seen its last event, and stops them. */
    async finish({ patienceMs = PATIENCE_MS } = {}): Promise<void> {
      await Promise.all(all.map((one) => readWhole(one, AbortSignal.timeout(patienceMs))))
      const expectSeen = () => {
        const isBehind = all.some(({ feed: { pages, whole } }) => {
          const last = whole?.at(-1)
          return last !== undefined && !pages.some(({ ids, isStored }) => isStored && ids.includes(last))
        })
        if (isBehind) throw new Error('a follower is behind')
      }
      // What a follower has not seen by then, the rules report.
      await eventually(expectSeen, { timeoutMs: patienceMs, intervalMs: 250 }).catch(() => {})
      await stop()
    },
  }
}

/** Returns undefined for work that its signal has ended. */
async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result | undefined> {
  return await work.catch((error: unknown) => {
    if (!signal.aborted) throw error
    return undefined
  })
}

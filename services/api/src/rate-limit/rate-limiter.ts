import { defined, type Loops, pause } from '@cashflow/async'
import type { RateLimitBucket, RateLimitLevel, RateLimitUse } from '@cashflow/db'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import { Bucket } from './bucket.ts'

export interface RateLimiterOptions {
  /** Requests a second for each key. */
  limit: number
  /** Takes what was used from the buckets that all processes share. */
  report: (uses: readonly RateLimitUse[], bucket: RateLimitBucket) => Promise<readonly RateLimitLevel[]>
  /** Deletes shared buckets that are not used any more. */
  deleteIdle: () => Promise<void>
  /** Number of keys that are remembered. A key is forgotten after at least half as many others were used. */
  keysMax?: number
  /** Time between two reports. */
  reportEveryMs?: number
  logger: Logger
  now?: () => number
  random?: () => number
}

export interface RateLimiter extends Component {
  readonly limit: number
  /**
   * Takes a request from the bucket of its key. Returns how many more may follow at once. If the request is refused,
   * returns minus the seconds after which one may be accepted, at least 1.
   */
  take(key: string): number
  /** Reports what was used, and learns what is left. Returns whether it sent a report. Never rejects. */
  once(): Promise<boolean>
}

const REPORT_EVERY_MS = 200
const IDLE_MS = 60_000
// Keys in one statement. Others wait for the next one.
const REPORTED_MAX = 5_000
const KEYS_MAX = 100_000

/**
 * Limits requests by token buckets in PostgreSQL that all processes share. A request costs no query: each process accepts
 * its share of a bucket by itself, and reports what was used every 200 ms. A process without reports for 200 ms reports a
 * key that is new to it immediately, since its first share is small. What the processes accept beyond the bucket becomes a
 * debt, which the refill pays before anything else.
 *
 * While PostgreSQL does not answer, each process goes on with the shares that it has.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { limit, report, deleteIdle, keysMax = KEYS_MAX, reportEveryMs = REPORT_EVERY_MS } = options
  const { now = () => performance.now(), random = Math.random } = options
  // The burst is half a second's worth: with more, a client could exceed the limit by 10 % over ten seconds. The debt is
  // bounded, because many processes may make a large one before they know of each other.
  const whole = { limit, burst: limit / 2 + 1, debtMax: 2 * limit }
  const failing = createCondition(options.logger, {
    message: 'rate limits are not shared, each process goes on with its own share',
    ended: 'rate limits are shared again',
  })
  const buckets = createBuckets(keysMax, whole)
  let unreported: Bucket[] = []
  let sweepAt = now() + random() * IDLE_MS
  let newKey = new AbortController()

  async function reportAll(due: readonly Bucket[], at: number): Promise<void> {
    const uses = due.map((bucket) => bucket.report(at))
    unreported = unreported.filter((bucket) => !bucket.isReported)
    const levels = new Map((await report(uses, whole)).map((level) => [level.key, level]))
    const answeredAt = now()
    for (const bucket of due) bucket.learn(defined(levels.get(bucket.key), bucket.key), answeredAt, random)
  }

  async function sweep(): Promise<void> {
    const at = now()
    if (at < sweepAt) return
    sweepAt = at + IDLE_MS
    buckets.forgetUnused()
    await deleteIdle()
  }

  async function once(): Promise<boolean> {
    const at = now()
    unreported = unreported.filter((bucket) => !bucket.isReported)
    const due = unreported.filter((bucket) => bucket.isDue(at)).slice(0, REPORTED_MAX)
    try {
      if (due.length > 0) await reportAll(due, at)
      await sweep()
      if (due.length > 0) failing.ended()
    } catch (error) {
      failing.holds({ error })
    }
    return due.length > 0
  }

  const stopping = new AbortController()
  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('rate limiter')
    while (!stopping.signal.aborted) {
      loop.beat()
      newKey = new AbortController()
      const hasReported = await once()
      // At random, so that no process always finds what another one has left of a bucket.
      const everyMs = reportEveryMs * (0.8 + 0.4 * random())
      await pause(everyMs, hasReported ? stopping.signal : AbortSignal.any([stopping.signal, newKey.signal]))
    }
  }

  return {
    ...backgroundComponent('rate limiter', run, stopping),
    limit,
    once,
    take(key) {
      const at = now()
      const bucket = buckets.of(key, at)
      if (bucket.isReported) unreported.push(bucket)
      if (bucket.isNew && !newKey.signal.aborted) newKey.abort()
      return bucket.take(at)
    },
  }
}

/** Remembers the buckets of the keys that were used most recently. */
function createBuckets(keysMax: number, whole: RateLimitBucket) {
  // Two generations: a Map with many deleted entries needs 0.1 ms to find its first one, and a client may send each request
  // from another address.
  let recent = new Map<string, Bucket>()
  let former = new Map<string, Bucket>()

  function forgetUnused(): void {
    // A key may have a new bucket before the next report, which names a key only once.
    for (const bucket of former.values()) bucket.forget()
    former = recent
    recent = new Map()
  }

  return {
    of(key: string, at: number): Bucket {
      const known = recent.get(key)
      if (known) return known
      const bucket = former.get(key) ?? new Bucket(key, whole, at)
      former.delete(key)
      if (recent.size >= keysMax / 2) forgetUnused()
      recent.set(key, bucket)
      return bucket
    },
    /** Forgets the keys that were not used since the last call. */
    forgetUnused,
  }
}

import type { RateLimitBucket, RateLimitLevel, RateLimitUse } from '@cashflow/db'

// A key with few requests is reported this often, so that its row is written once a second and not five times.
const REPORT_WITHIN_MS = 1_000
// The least share of a process. Of a key that is new to it, it may so accept limit/20 at once, and limit/10 a second.
const SHARE_MIN = 0.1

/**
 * A key's bucket in one process: its share of the bucket that all processes have in PostgreSQL. The share is the process's
 * part of the key's requests. All times are in milliseconds of one clock.
 */
export class Bucket {
  readonly key: string
  readonly #whole: RateLimitBucket
  /** Requests that may be accepted at `#at`. */
  #level: number
  #at: number
  #share = SHARE_MIN
  /** What all processes together had accepted too many, by the last answer. */
  #debt = 0
  /** Requests to this process, counted as those to all in `RateLimitLevel`, at `#reportedAt`. */
  #demand = 0
  #reportedAt: number | undefined
  /** Accepted requests that are not reported yet. */
  #used = 0
  /** Requests that are not reported yet, accepted or not. */
  #offered = 0
  /** Time of the first of these. */
  #offeredAt: number

  constructor(key: string, whole: RateLimitBucket, at: number) {
    this.key = key
    this.#whole = whole
    this.#level = Math.max(1, whole.limit / 20)
    this.#at = at
    this.#offeredAt = at
  }

  get isNew(): boolean {
    return this.#reportedAt === undefined
  }

  get isReported(): boolean {
    return this.#offered === 0
  }

  /**
   * Takes a request. Returns how many more may follow at once. If the request is refused, returns minus the seconds after
   * which one may be accepted, at least 1.
   */
  take(at: number): number {
    const { limit, burst } = this.#whole
    const refilled = this.#level + ((at - this.#at) / 1_000) * limit * this.#share
    this.#level = Math.min(refilled, Math.max(1, burst * this.#share))
    this.#at = at
    if (this.#offered === 0) this.#offeredAt = at
    this.#offered += 1
    if (this.#level < 1) return -Math.ceil((this.#debt + 1) / limit)
    this.#level -= 1
    this.#used += 1
    return Math.floor(this.#level)
  }

  isDue(at: number): boolean {
    if (this.isNew || this.#offered > this.#used) return true
    return this.#used >= this.#whole.limit / 20 || at - this.#offeredAt >= REPORT_WITHIN_MS
  }

  /**
   * Returns what to report, and counts it as reported. If the report fails, the key has used that much more than its limit.
   * Counted again, it would be paid after an outage, when the refill of the outage is lost.
   */
  report(at: number): RateLimitUse {
    const use = { key: this.key, used: this.#used, offered: this.#offered }
    this.#demand = this.#demand * Math.exp(((this.#reportedAt ?? at) - at) / 1_000) + this.#offered
    this.#reportedAt = at
    this.forget()
    return use
  }

  /** Counts everything as reported. */
  forget(): void {
    this.#used = 0
    this.#offered = 0
  }

  /** Takes over the answer to the last report, less what was used since. */
  learn({ level, demand }: RateLimitLevel, at: number, random: () => number): void {
    this.#share = Math.min(1, Math.max(SHARE_MIN, this.#demand / demand))
    this.#debt = Math.max(0, -level)
    const own = level * this.#share
    // Where many processes share a small limit, each one's part of a request would be none at all.
    this.#level = (own < 1 && random() < own ? 1 : own) - this.#used
    this.#at = at
  }
}

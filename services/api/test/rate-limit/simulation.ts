import type { RateLimitBucket, RateLimitLevel, RateLimitUse } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import { nullLogger } from '@cashflow/testing'
import { createRateLimiter, type RateLimiter } from '../../src/rate-limit/rate-limiter.ts'

export interface Simulation {
  readonly limiters: readonly RateLimiter[]
  /** False while no report is answered. */
  isAnswering: boolean
  /** Numbers of reports, and of the keys in them. */
  readonly reports: { statements: number; keys: number }
  now(): number
  /**
   * Offers requests of one key to each process at even intervals, and lets each process report every 160 to 240 ms. A
   * process without reports for 200 ms reports a new key immediately.
   *
   * @param rates requests a second, of each process
   * @returns the numbers of accepted requests, of each process
   */
  run(durationMs: number, rates: readonly number[], key?: string): Promise<number[]>
}

/** Several processes with one table of buckets, in simulated time. The table works as the statement of `reportUse`. */
export function simulate({
  processes: count = 3,
  limit = 100,
  keysMax = 1_000,
  logger = nullLogger as Logger,
} = {}): Simulation {
  let nowMs = 0
  let seed = 1
  /** The generator of Park and Miller. */
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const table = new Map<string, RateLimitLevel & { at: number }>()
  const reports = { statements: 0, keys: 0 }

  async function report(uses: readonly RateLimitUse[], bucket: RateLimitBucket): Promise<RateLimitLevel[]> {
    if (!simulation.isAnswering) throw new Error('the table does not answer')
    reports.statements += 1
    reports.keys += uses.length
    return uses.map(({ key, used, offered }) => {
      const row = table.get(key) ?? { level: bucket.burst, demand: 0, at: nowMs }
      const elapsedS = (nowMs - row.at) / 1_000
      const refilled = Math.min(bucket.burst, row.level + bucket.limit * elapsedS)
      const next = {
        key,
        level: Math.max(-bucket.debtMax, refilled - used),
        demand: row.demand * Math.exp(-elapsedS) + offered,
        at: nowMs,
      }
      table.set(key, next)
      return next
    })
  }

  const limiters = Array.from({ length: count }, () =>
    createRateLimiter({ limit, report, deleteIdle: async () => {}, keysMax, logger, now: () => nowMs, random }),
  )
  const processes = limiters.map((limiter) => ({
    limiter,
    reportAt: random() * 200,
    hasReported: false,
    known: new Set<string>(),
  }))

  const simulation: Simulation = {
    limiters,
    isAnswering: true,
    reports,
    now: () => nowMs,
    async run(durationMs, rates, key = 'k') {
      const accepted = limiters.map(() => 0)
      const offered = limiters.map(() => random())
      for (const end = nowMs + durationMs; nowMs < end; nowMs += 1)
        for (const [n, process] of processes.entries()) {
          const { limiter, known, hasReported } = process
          let isNew = false
          for (offered[n] = (offered[n] ?? 0) + (rates[n] ?? 0) / 1_000; (offered[n] ?? 0) >= 1; offered[n] -= 1) {
            if (limiter.take(key) >= 0) accepted[n] = (accepted[n] ?? 0) + 1
            isNew = !known.has(key)
            known.add(key)
          }
          if (nowMs < process.reportAt && (hasReported || !isNew)) continue
          process.hasReported = await limiter.once()
          process.reportAt = nowMs + 160 + 80 * random()
        }
      return accepted
    },
  }
  return simulation
}

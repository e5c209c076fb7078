import { createLimiter, fullJitterMs, LimitError, pause, within } from '@cashflow/async'
import { isTransient } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { Response } from 'express'
import { createMerchantSlots } from './merchant-slots.ts'
import { Problem } from './problem.ts'

const WAIT_MAX_MS = 2_500
const DEADLINE_MS = 5_000
const ATTEMPTS_MAX = 4
const BACKOFF = { baseMs: 100, capMs: 400 }
const RETRY_AFTER_S = 1

/** The client has closed its connection, so it cannot get an answer. */
export class ClientGoneError extends Error {
  readonly code = 'client_gone'
}

export interface RequestQueueOptions {
  /** Names the queue in the log. */
  name: string
  /** Number of requests that use PostgreSQL at the same time. */
  runningMax: number
  /** Number of requests that may wait for a slot. */
  waitingMax: number
  /** Maximum wait for a slot, in milliseconds. A request that starts later could not finish within its own deadline. */
  waitMaxMs?: number
  /** True if only one request of a merchant runs at the same time, and only a tenth of those that wait may be of one merchant. */
  onePerMerchant?: boolean
  /** Time for all attempts of one request, with their waits, in milliseconds. */
  deadlineMs?: number
  random?: () => number
  logger: Logger
}

export type RequestQueue = ReturnType<typeof createRequestQueue>

/** Limits how many requests use PostgreSQL, how many wait for it, and for how long. First come, first served. */
export function createRequestQueue(options: RequestQueueOptions) {
  const { name, runningMax, waitingMax, waitMaxMs = WAIT_MAX_MS, deadlineMs = DEADLINE_MS, logger } = options
  const retry = { deadlineMs, what: `a request in the queue ${name}`, random: options.random }
  const { onePerMerchant = false } = options
  const limits = { runningMax, waitingMax, waitMaxMs }
  const slots = onePerMerchant ? createMerchantSlots(limits) : sharedSlots(limits)
  let refused = 0

  async function runInSlot<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    { signal, merchantId }: { signal: AbortSignal; merchantId: string },
  ) {
    const release = await slots.acquire(signal, merchantId).catch((error: unknown) => {
      throw error instanceof LimitError ? refuse() : error
    })
    try {
      return await work(signal)
    } finally {
      release()
      noteRelease()
    }
  }

  function refuse(): Problem {
    refused += 1
    const { running, waiting } = slots
    if (refused === 1) logger.warn('overloaded, refusing requests', { queue: name, running, waiting })
    return new Problem('overloaded', 'Too many requests wait for the database. Send the same request again.', {
      headers: { 'Retry-After': String(RETRY_AFTER_S) },
    })
  }

  function noteRelease(): void {
    if (refused === 0 || slots.running === runningMax || slots.waiting > 0) return // A waiting request got the slot.
    logger.warn('no longer overloaded', { queue: name, refused })
    refused = 0
  }

  return {
    get running(): number {
      return slots.running
    },
    get waiting(): number {
      return slots.waiting
    },
    /**
     * Runs idempotent work for the request that `res` answers, if its API key is still in force then: a body or this queue may
     * have taken seconds. Each attempt needs a slot. A transient error of PostgreSQL starts another attempt while there is time. An attempt that still waits when the client goes, or at the deadline,
     * never starts. One that is running at the deadline may still take effect.
     *
     * @throws Problem `overloaded`, immediately when too many requests wait, or after `waitMaxMs`
     * @throws ClientGoneError when the client goes before the work starts
     * @throws what `assertKey` throws (globals.d.ts)
     * @throws DeadlineError after `deadlineMs`
     */
    async run<Result>(res: Response, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
      const leaving = new AbortController()
      const leave = () => leaving.abort(new ClientGoneError())
      res.once('close', leave)
      try {
        if (res.closed || res.req.socket.destroyed) leave()
        const caller = { signal: leaving.signal, merchantId: onePerMerchant ? res.locals.merchantId : '' }
        let isBegun = false
        const attempt = async (signal: AbortSignal) => {
          // Not again before a later attempt: the first one may have taken effect, and a 401 says that nothing has.
          if (!isBegun) await res.locals.assertKey()
          isBegun = true
          return await work(signal)
        }
        return await retryTransient(() => runInSlot(attempt, caller), retry)
      } catch (error) {
        leaving.abort(error)
        throw error
      } finally {
        res.off('close', leave)
      }
    },
  }
}

function sharedSlots(limits: Parameters<typeof createLimiter>[0]) {
  const limiter = createLimiter(limits)
  return {
    get running(): number {
      return limiter.running
    },
    get waiting(): number {
      return limiter.waiting
    },
    async acquire(signal: AbortSignal): Promise<() => void> {
      await limiter.acquire(signal)
      return () => limiter.release()
    },
  }
}

async function retryTransient<Result>(
  run: () => Promise<Result>,
  { deadlineMs, what, random }: { deadlineMs: number; what: string; random: (() => number) | undefined },
): Promise<Result> {
  const giveUpAt = performance.now() + deadlineMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await within(run(), { deadlineMs: giveUpAt - performance.now(), what })
    } catch (error) {
      const delayMs = fullJitterMs(attempt, { ...BACKOFF, random })
      if (!isTransient(error) || attempt === ATTEMPTS_MAX || performance.now() + delayMs >= giveUpAt) throw error
      await pause(delayMs)
      if (performance.now() >= giveUpAt) throw error // The process was frozen.
    }
  }
}

import { pause } from '@cashflow/async'
import type { RequestHandler } from 'express'
import { isSafe } from './access/origin.ts'
import { refuse } from './refusal.ts'

const EVERY_MS = 100
const BURST = 10
const WAIT_MAX_MS = 5_000

/**
 * Starts at most 10 reads a second, of all viewers together, so that many open pages cost PostgreSQL little. A read waits for
 * its turn for up to 5 seconds, and is then refused with 503. Acts do not wait.
 */
export function createPace(now: () => number = () => performance.now()): RequestHandler {
  let turnAt = Number.NEGATIVE_INFINITY
  return async (req, res, next) => {
    if (!isSafe(req.method)) return next()
    const at = now()
    const own = Math.max(turnAt + EVERY_MS, at - (BURST - 1) * EVERY_MS)
    const waitMs = own - at
    if (waitMs > WAIT_MAX_MS) {
      res.set('Retry-After', '5')
      return refuse(res, 503, 'Too many viewers read at the same time. Wait a moment.')
    }
    turnAt = own
    if (waitMs > 0) await pause(waitMs)
    if (!res.destroyed) next()
  }
}

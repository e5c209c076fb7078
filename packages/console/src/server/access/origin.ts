import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import { refuse } from '../refusal.ts'
import { isLoopback } from './hosts.ts'

/** True for a method that changes nothing. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

export type IsHttps = (req: IncomingMessage) => boolean

/**
 * Refuses acts that do not come from the console's own page. Browsers set `Sec-Fetch-Site`, and no page can change it. They
 * send it, and keep the cookie, only over HTTPS or to their own machine.
 */
export function requireOwnPage(isHttps: IsHttps): RequestHandler {
  return (req, res, next) => {
    if (isSafe(req.method)) next()
    else if (!isHttps(req) && !isLoopback(req))
      refuse(res, 403, 'HTTPS is needed: by this name the console can be used over https:// only.')
    else if (req.headers['sec-fetch-site'] !== 'same-origin')
      refuse(res, 403, 'The request does not come from a page of the console.')
    else next()
  }
}

/**
 * Tells whether a request came over HTTPS.
 *
 * @param isProxy true if a trusted proxy sent the request. Only its `X-Forwarded-Proto` counts
 */
export function createIsHttps(isProxy: (req: IncomingMessage) => boolean): IsHttps {
  return (req) => {
    if ('encrypted' in req.socket) return true
    const forwarded = [req.headers['x-forwarded-proto'] ?? ''].flat().join()
    // The last proxy appends what it was called by. A client can send any beginning.
    return isProxy(req) && forwarded.split(',').at(-1)?.trim().toLowerCase() === 'https'
  }
}

import { isRequestId, uuidv7 } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import { Problem } from './problem.ts'

/** The client's own id where it is well-formed, else a new one. */
export function requestIdOf(given: string | undefined): string {
  return isRequestId(given) ? given : uuidv7()
}

/** What every answer has. */
export const identifyRequests: RequestHandler = (req, res, next) => {
  const requestId = requestIdOf(req.get('Request-Id'))
  res.locals.requestId = requestId
  res.setHeader('Request-Id', requestId)
  res.setHeader('Cache-Control', 'no-store')
  // RFC 9112 §3.2. Node's own check is off, because its answer has no Request-Id.
  if (req.httpVersion === '1.1' && req.headers.host === undefined)
    throw new Problem('bad-request', 'HTTP/1.1 needs a Host header.')
  next()
}

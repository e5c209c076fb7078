import { DeadlineError } from '@cashflow/async'
import { isPermanent, mayBeItemsOwn } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import { traceIdOf } from '@cashflow/tracing'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { discardBody } from './discard-body.ts'
import { PROBLEM_TYPE, Problem, problemBody } from './problem.ts'
import { PROBLEMS } from './problem-types.ts'
import { ClientGoneError } from './request-queue.ts'
import { sendJson } from './send-json.ts'

const RETRY_AFTER_S = 5

export const notFound: RequestHandler = () => {
  throw new Problem('not-found', 'No route has this path.')
}

/** Answers every method that a route does not have: 405, or 204 to OPTIONS. `Allow` lists `methods`. */
export function methodNotAllowed(...methods: string[]): RequestHandler {
  const allow = [...methods, 'OPTIONS'].join(', ')
  return (req, res) => {
    if (req.method !== 'OPTIONS')
      throw new Problem('method-not-allowed', `Use one of ${allow}.`, { headers: { Allow: allow } })
    res.status(204).set('Allow', allow).end()
  }
}

/** The only place where an error becomes an answer. Errors of the server are also logged. */
export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (error, req, res, _next) => {
    if (error instanceof ClientGoneError) return // The request's own log line shows it.
    const problem = toProblem(error)
    const { requestId, paymentId } = res.locals
    const ids = { request_id: requestId, trace_id: traceIdOf(res.locals.traceparent) }
    // A problem without a cause is logged where it arises, if it needs to be.
    const isLogged = error instanceof Problem && error.cause === undefined
    // A problem's own words are for clients. Its cause has those of PostgreSQL, such as a refused login.
    const cause = error instanceof Problem ? error.cause : error
    if (problem.code === 'unavailable' && !isLogged) logger.warn('database is not available', { error: cause, ...ids })
    if (problem.code === 'internal') logger.error('request failed', { error, ...ids, payment_id: paymentId })
    // A body that is itself too large is read to its end, so that its client reads the answer.
    if (!req.complete && problem.code !== 'payload-too-large') discardBody(req)
    if (res.headersSent) return void req.socket.destroy()
    res.set(problem.headers)
    sendJson(res, PROBLEMS[problem.code].status, problemBody(problem, requestId), PROBLEM_TYPE)
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof URIError)
    return new Problem('bad-request', 'The path has a percent sign without two hex digits.')
  if (isUnavailable(error))
    return new Problem(
      'unavailable',
      'The database does not answer. Send the same request again. If the payment was stored after all, the answer names it.',
      { headers: { 'Retry-After': String(RETRY_AFTER_S) } },
    )
  return new Problem('internal', 'The request could not be handled. The log has the error under the request_id.')
}

// A client can repeat a request after most errors of the database. Not after one that its own rows may cause, such as a
// damaged row: that error is `internal`, and is logged as an error.
function isUnavailable(error: unknown): boolean {
  if (error instanceof DeadlineError) return true
  return error instanceof Error && !isPermanent(error) && !mayBeItemsOwn(error)
}

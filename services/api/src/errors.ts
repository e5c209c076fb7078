import { isPermanent, mayBeItemsOwn } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { answerJson } from './answer-json.ts'
import { DeadlineError } from './deadline.ts'
import { ClientGoneError } from './in-turn.ts'
import { PROBLEM_TYPE, PROBLEMS, Problem, problemBody } from './problem.ts'

const RETRY_AFTER_S = 5

export const refuseUnknownRoutes: RequestHandler = () => {
  throw new Problem('not-found', 'No route has this path.')
}

/** For a route's other methods: says which ones it has. */
export function allowOnly(...methods: string[]): RequestHandler {
  const allow = [...methods, 'OPTIONS'].join(', ')
  return (req, res) => {
    if (req.method !== 'OPTIONS')
      throw new Problem('method-not-allowed', `Use one of ${allow}.`, { headers: { Allow: allow } })
    res.status(204).set('Allow', allow).end()
  }
}

/** The one place where an error becomes an answer. What a client did is in its answer; what we did is logged. */
export function answerErrors(logger: Logger): ErrorRequestHandler {
  return (error, req, res, _next) => {
    if (error instanceof ClientGoneError) return // The request's own line says so.
    const problem = toProblem(error)
    const { requestId } = res.locals
    if (problem.code === 'unavailable') logger.warn('database is not available', { error, request_id: requestId })
    if (problem.code === 'internal') logger.error('request failed', { error, request_id: requestId })
    if (res.headersSent) return void req.socket.destroy()
    res.set(problem.headers)
    answerJson(res, PROBLEMS[problem.code].status, problemBody(problem, requestId), PROBLEM_TYPE)
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof URIError)
    return new Problem('bad-request', 'The path has a percent sign without two hex digits.')
  if (isUnavailable(error))
    return new Problem(
      'unavailable',
      'The database does not answer. Send the same request again: should it have been stored after all, the answer names it.',
      { headers: { 'Retry-After': String(RETRY_AFTER_S) } },
    )
  return new Problem('internal', 'The request could not be handled. It was recorded under its request_id.')
}

// An error of the database is no reason to believe that the request was at fault. But a damaged row is not
// repaired by sending the request again: that is `internal`, and an error line.
function isUnavailable(error: unknown): boolean {
  if (error instanceof DeadlineError) return true
  return error instanceof Error && !isPermanent(error) && !mayBeItemsOwn(error)
}

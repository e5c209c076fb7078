import { isAway } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { Refusal, refuse } from './refusal.ts'

export const notFound: RequestHandler = (_req, res) => refuse(res, 404, 'The console has no such path.')

/** The only place where an error becomes an answer. What it says of the server goes to the log, not to the client. */
export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (error, req, res, _next) => {
    if (error instanceof Refusal) return refuse(res, error.status, error.message)
    const status = statusOf(error)
    const { method, path } = req
    if (status === 503) logger.warn('PostgreSQL does not answer the console', { method, path, error })
    else if (status === 500) logger.error('request to the console failed', { method, path, error })
    if (res.headersSent) return void req.socket.destroy()
    refuse(res, status, textOf(status))
  }
}

/** Errors of Express and its body parser that the client has caused have their status. */
function statusOf(error: unknown): number {
  if (error instanceof Error && 'expose' in error && error.expose === true && 'status' in error)
    return Number(error.status)
  return isAway(error) ? 503 : 500
}

function textOf(status: number): string {
  switch (status) {
    case 503:
      return 'PostgreSQL does not answer.'
    case 500:
      return 'The request could not be handled. The log of the api has the error.'
    case 413:
      return 'The body is too large.'
    default:
      return 'The request is not well-formed.'
  }
}

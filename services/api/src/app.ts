import { isRequestId, type Logger, uuidv7 } from '@cashflow/runtime'
import express, { type Express, type RequestHandler } from 'express'
import { errorHandler, notFound } from './errors.ts'
import { healthRoutes } from './health.ts'
import { type PaymentRoutesOptions, paymentRoutes } from './payments/routes.ts'
import { Problem } from './problem.ts'

export interface AppOptions extends PaymentRoutesOptions {
  logger: Logger
}

/** The REST API as a request listener. */
export function createApp({ logger, ...options }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing')
  app.use(requestId, requestLog(logger))
  app.use('/health', healthRoutes(options.db))
  app.use(['/api/v1/payments', '/payments'], paymentRoutes(options))
  app.use(notFound, errorHandler(logger))
  return app
}

/** Sets the headers of every answer. The request's id is the client's own if it is well-formed, else a new one. */
const requestId: RequestHandler = (req, res, next) => {
  const given = req.get('Request-Id')
  const id = isRequestId(given) ? given : uuidv7()
  res.locals.requestId = id
  res.setHeader('Request-Id', id)
  res.setHeader('Cache-Control', 'no-store')
  // RFC 9112 §3.2. Node's own check is off, because its answer has no Request-Id.
  if (req.httpVersion === '1.1' && req.headers.host === undefined)
    throw new Problem('bad-request', 'HTTP/1.1 needs a Host header.')
  next()
}

const PATH_MAX = 512

/** Logs one line for each request, after its answer or after its client has gone. The query may hold secrets, so it is left out. */
function requestLog(logger: Logger): RequestHandler {
  return (req, res, next) => {
    const startedAt = performance.now()
    const [path] = req.originalUrl.split('?', 1)
    res.once('close', () => {
      const { requestId, paymentId } = res.locals
      logger.info(res.writableFinished ? 'request answered' : 'request abandoned by its client', {
        method: req.method,
        path: path?.slice(0, PATH_MAX),
        status: res.writableFinished ? res.statusCode : undefined,
        duration_ms: Math.round(performance.now() - startedAt),
        request_id: requestId,
        payment_id: paymentId,
      })
    })
    next()
  }
}

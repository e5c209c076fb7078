import type { Logger } from '@cashflow/runtime'
import type { RequestHandler } from 'express'

const PATH_MAX = 512

/** One line for each request, once it is answered or its client has gone. The query is left out: it may hold anything. */
export function logRequests(logger: Logger): RequestHandler {
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

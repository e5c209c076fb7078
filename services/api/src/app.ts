import { isRequestId, uuidv7 } from '@cashflow/runtime'
import { traceIdOf } from '@cashflow/tracing'
import express, { type Express, type RequestHandler } from 'express'
import { clientNetwork, createClientAddressOf, type Network } from './client-address.ts'
import { errorHandler, methodNotAllowed, notFound } from './errors.ts'
import type { FeedOptions } from './events/feed.ts'
import { eventRoutes } from './events/routes.ts'
import { healthRoutes } from './health.ts'
import type { EndedRequest } from './metrics.ts'
import { documentRoutes } from './openapi/routes.ts'
import type { AdvancePaymentOptions } from './payments/advance-payment.ts'
import { type PaymentRoutesOptions, paymentRoutes, testRoutes } from './payments/routes.ts'
import { Problem } from './problem.ts'
import { limitRate } from './rate-limit/limit-rate.ts'
import type { RateLimiter } from './rate-limit/rate-limiter.ts'
import { root } from './root.ts'
import { addSecurityHeaders } from './security-headers.ts'
import { type RequestTracing, traceRequest } from './trace-request.ts'
import { type WebhookRoutesOptions, webhookRoutes } from './webhooks/routes.ts'

export interface AppOptions extends PaymentRoutesOptions, AdvancePaymentOptions, FeedOptions, WebhookRoutesOptions {
  /** True to serve the routes for tests. */
  sandbox: boolean
  /** Sets whose payments a request may see, or refuses the request. */
  authenticate: RequestHandler
  /** Networks of the proxies whose `X-Forwarded-For` counts. */
  trustProxy: readonly Network[]
  /** Its limit is 0 if the rate of requests is not limited. */
  rateLimiter: RateLimiter
  /** Called after each request, for its metrics. */
  onRequest?: ((request: EndedRequest) => void) | undefined
  tracing?: RequestTracing
}

/** The REST API as a request listener. */
export function createApp({
  logger,
  trustProxy,
  authenticate,
  rateLimiter,
  onRequest,
  tracing = UNTRACED,
  ...options
}: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing')
  addSecurityHeaders(app)
  app.use(requestId, requestLog({ logger, trustProxy, onRequest, tracing }))
  // The path '/' would match '//' too.
  app.route(/^\/$/).get(root).all(methodNotAllowed('GET', 'HEAD'))
  // Without a key: what stands before `authenticate`. A path that no route has needs a key too, so that its answer tells nothing.
  app.use('/health', healthRoutes(options.db))
  app.use(documentRoutes())
  app.use(authenticate)
  if (rateLimiter.limit > 0) app.use(limitRate(rateLimiter))
  app.use(['/api/v1/payments', '/payments'], paymentRoutes({ ...options, logger }))
  const webhooks = webhookRoutes({ ...options, logger })
  app.use(['/api/v1/events', '/events'], eventRoutes({ ...options, logger }), webhooks.events)
  app.use(['/api/v1/webhook-endpoints', '/webhook-endpoints'], webhooks.endpoints)
  app.use(['/api/v1/webhook-deliveries', '/webhook-deliveries'], webhooks.deliveries)
  if (options.sandbox) app.use(['/api/v1/test/payments', '/test/payments'], testRoutes(options))
  app.use(notFound, errorHandler(logger))
  return app
}

/** Sets the answer's own headers. The request's id is the client's own if it is well-formed, else a new one. */
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
const UNTRACED: RequestTracing = { spans: undefined, isTrusted: false, sampledShare: 0 }

/**
 * Logs one line for each request, after its answer or after its client has gone, and ends its span. The query may hold secrets,
 * so it is left out.
 */
function requestLog({
  logger,
  trustProxy,
  onRequest,
  tracing,
}: Pick<AppOptions, 'logger' | 'trustProxy' | 'onRequest'> & { tracing: RequestTracing }): RequestHandler {
  const clientAddressOf = createClientAddressOf(trustProxy)
  return (req, res, next) => {
    const startedAt = performance.now()
    const client = clientAddressOf(req)
    res.locals.client = clientNetwork(client)
    const [path = ''] = req.originalUrl.split('?', 1)
    const traced = traceRequest(req, path, tracing)
    const { traceparent } = traced
    res.locals.traceparent = traceparent
    res.once('close', () => {
      const { requestId, keyId, paymentId } = res.locals
      const status = res.writableFinished ? res.statusCode : undefined
      const durationMs = performance.now() - startedAt
      traced.end(status)
      onRequest?.({ method: req.method, path, status, seconds: durationMs / 1_000 })
      logger.info(res.writableFinished ? 'request answered' : 'request abandoned by its client', {
        method: req.method,
        path: path.slice(0, PATH_MAX),
        status,
        duration_ms: Math.round(durationMs),
        request_id: requestId,
        trace_id: traceIdOf(traceparent),
        client,
        key_id: keyId,
        payment_id: paymentId,
      })
    })
    next()
  }
}

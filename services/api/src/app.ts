import type { Logger } from '@cashflow/runtime'
import express, { type Express } from 'express'
import { answerErrors, refuseUnknownRoutes } from './errors.ts'
import { healthRoutes } from './health.ts'
import { type PaymentParts, paymentRoutes } from './payments/routes.ts'
import { identifyRequests } from './request-id.ts'
import { logRequests } from './request-log.ts'

export interface AppParts extends PaymentParts {
  logger: Logger
}

/** The REST API as a request listener. */
export function createApp({ logger, ...parts }: AppParts): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing')
  app.use(identifyRequests, logRequests(logger))
  app.use('/health', healthRoutes(parts.db))
  app.use(['/api/v1/payments', '/payments'], paymentRoutes(parts))
  app.use(refuseUnknownRoutes, answerErrors(logger))
  return app
}

import type { Tables } from '@cashflow/db'
import type { Notifier } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import express, { type Express } from 'express'
import type { Kysely } from 'kysely'
import { answerErrors, refuseUnknownRoutes } from './errors.ts'
import { healthRoutes } from './health.ts'
import { paymentRoutes } from './payments/routes.ts'
import { identifyRequests } from './request-id.ts'
import { logRequests } from './request-log.ts'

export interface AppParts {
  db: Kysely<Tables>
  notifier: Notifier
  logger: Logger
  /** When a payment that is still PENDING is sent through the pipeline again. */
  redriveAfterMs: number
}

/** The REST API as a request listener. */
export function createApp({ db, notifier, logger, redriveAfterMs }: AppParts): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing')
  app.use(identifyRequests, logRequests(logger))
  app.use('/health', healthRoutes(db))
  app.use(['/api/v1/payments', '/payments'], paymentRoutes({ db, notifier, redriveAfterMs }))
  app.use(refuseUnknownRoutes, answerErrors(logger))
  return app
}

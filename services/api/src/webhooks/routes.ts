import type { Tables } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import type { Cursors } from '../cursor.ts'
import { methodNotAllowed } from '../errors.ts'
import { createJsonBody } from '../json-body.ts'
import type { RequestQueue } from '../request-queue.ts'
import { changeEndpointHandler, deleteEndpointHandler, rotateSecretHandler } from './change-endpoint.ts'
import { getCheckHandler, startCheckHandler } from './checks.ts'
import { createEndpointHandler } from './create-endpoint.ts'
import { eventDeliveriesHandler, redeliverHandler } from './event-deliveries.ts'
import { listDeliveriesHandler } from './list-deliveries.ts'
import { getEndpointHandler, listEndpointsHandler } from './read-endpoints.ts'
import { createManage, type WebhookSettings } from './require-secrets.ts'
import { startReplayHandler } from './start-replay.ts'

export interface WebhookRoutesOptions {
  db: Kysely<Tables>
  reads: RequestQueue
  lists: RequestQueue
  changes: RequestQueue
  cursors: Cursors
  logger: Logger
  /** Undefined where SECRETS_KEY is not set. */
  webhooks: WebhookSettings | undefined
}

type Manage = ReturnType<typeof createManage>

/** The routers below `/webhook-endpoints`, `/webhook-deliveries` and `/events`. */
export function webhookRoutes(options: WebhookRoutesOptions): Record<'endpoints' | 'deliveries' | 'events', Router> {
  const manage = createManage(options.webhooks, options)
  return {
    endpoints: endpointRoutes(options, manage),
    deliveries: deliveryRoutes(options, manage),
    events: eventRoutes(options, manage),
  }
}

function endpointRoutes(options: WebhookRoutesOptions, manage: Manage): Router {
  const router = Router()
  router
    .route('/')
    .get(manage(() => listEndpointsHandler(options)))
    .post(manage((settings) => createEndpointHandler(options, settings), createJsonBody()))
    .all(methodNotAllowed('GET', 'HEAD', 'POST'))
  router
    .route('/:id')
    .get(manage(() => getEndpointHandler(options)))
    .patch(manage((settings) => changeEndpointHandler(options, settings), createJsonBody()))
    .delete(manage(() => deleteEndpointHandler(options)))
    .all(methodNotAllowed('GET', 'HEAD', 'PATCH', 'DELETE'))
  router
    .route('/:id/rotate-secret')
    .post(manage((settings) => rotateSecretHandler(options, settings), createJsonBody({ isOptional: true })))
    .all(methodNotAllowed('POST'))
  router
    .route('/:id/replay')
    .post(manage(() => startReplayHandler(options), createJsonBody({ isOptional: true })))
    .all(methodNotAllowed('POST'))
  for (const kind of ['check', 'ping'] as const)
    router
      .route(`/:id/${kind}`)
      .post(manage(() => startCheckHandler(options, kind)))
      .all(methodNotAllowed('POST'))
  router
    .route('/:id/checks/:check')
    .get(manage(() => getCheckHandler(options)))
    .all(methodNotAllowed('GET', 'HEAD'))
  return router
}

function deliveryRoutes(options: WebhookRoutesOptions, manage: Manage): Router {
  const router = Router()
  router
    .route('/')
    .get(manage(() => listDeliveriesHandler(options)))
    .all(methodNotAllowed('GET', 'HEAD'))
  return router
}

function eventRoutes(options: WebhookRoutesOptions, manage: Manage): Router {
  const router = Router()
  router
    .route('/:id/deliveries')
    .get(manage(() => eventDeliveriesHandler(options)))
    .all(methodNotAllowed('GET', 'HEAD'))
  router
    .route('/:id/redeliver')
    .post(manage(() => redeliverHandler(options), createJsonBody({ isOptional: true })))
    .all(methodNotAllowed('POST'))
  return router
}

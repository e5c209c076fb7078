import { within } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import { methodNotAllowed } from './errors.ts'
import { Problem } from './problem.ts'
import { sendJson } from './send-json.ts'

const DEADLINE = { deadlineMs: 2_000, what: 'the health query' }

/**
 * GET /health: 200 if PostgreSQL answers, else 503 after at most 2 s. RabbitMQ does not count: the API takes payments
 * without it.
 *
 * Requests share one query while it runs, so that no number of them takes sessions away from payments. The limits of its
 * session end a query that hangs within 13 s.
 */
export function healthRoutes(db: Kysely<Tables>): Router {
  let query: Promise<unknown> | undefined
  const asking = db.selectNoFrom((eb) => eb.lit(1).as('one'))
  const askPostgres = () => {
    query ??= asking.execute().finally(() => {
      query = undefined
    })
    return query
  }
  const router = Router()
  router
    .route('/')
    .get(async (_req, res) => {
      await within(askPostgres(), DEADLINE).catch((cause) => {
        throw new Problem('unavailable', 'PostgreSQL does not answer.', {
          members: { failing: ['postgresql'] },
          headers: { 'Retry-After': '1' },
          cause,
        })
      })
      sendJson(res, 200, { status: 'ok' })
    })
    .all(methodNotAllowed('GET', 'HEAD'))
  return router
}

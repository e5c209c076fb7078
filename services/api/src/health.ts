import type { Tables } from '@cashflow/db'
import { Router } from 'express'
import { type Kysely, sql } from 'kysely'
import { answerJson } from './answer-json.ts'
import { within } from './deadline.ts'
import { allowOnly } from './errors.ts'
import { Problem } from './problem.ts'

const ANSWER_MS = 2_000

/** Healthy is what can take payments: RabbitMQ being away is not the API's problem. */
export function healthRoutes(db: Kysely<Tables>): Router {
  const router = Router()
  router
    .route('/')
    .get(async (_req, res) => {
      await within(ANSWER_MS, sql`select 1`.execute(db)).catch((cause) => {
        throw new Problem('unavailable', 'PostgreSQL does not answer.', {
          members: { failing: ['postgresql'] },
          headers: { 'Retry-After': '1' },
          cause,
        })
      })
      answerJson(res, 200, { status: 'ok' })
    })
    .all(allowOnly('GET', 'HEAD'))
  return router
}

import type { Tables } from '@cashflow/db'
import { Router } from 'express'
import { type Kysely, sql } from 'kysely'
import { answerJson } from './answer-json.ts'
import { within } from './deadline.ts'
import { allowOnly } from './errors.ts'
import { Problem } from './problem.ts'

const ANSWER_MS = 2_000

/**
 * Healthy is what can take payments: RabbitMQ being away is not the API's problem. One question to PostgreSQL serves all
 * who ask while it runs, so that no number of them takes connections away from payments. That includes a question that
 * hangs: the limits of its session end it within 13 s, and those who ask before get 503 after 2 s of their own.
 */
export function healthRoutes(db: Kysely<Tables>): Router {
  let asking: Promise<unknown> | undefined
  const ask = () => {
    asking ??= sql`select 1`.execute(db).finally(() => {
      asking = undefined
    })
    return asking
  }
  const router = Router()
  router
    .route('/')
    .get(async (_req, res) => {
      await within(ANSWER_MS, ask()).catch((cause) => {
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

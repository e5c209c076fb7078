import type { Tables } from '@cashflow/db'
import { PAUSABLE, type Pausable, pause, resume } from '@cashflow/db/operator'
import { type Request, Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { Refusal } from './refusal.ts'
import { operatorOf, orConflict, parsed, reason } from './request.ts'

const DAYS_30_MS = 30 * 86_400_000

const pauseBody = z.strictObject({ reason, for_ms: z.number().int().min(1_000).max(DAYS_30_MS).optional() })
const resumeBody = z.strictObject({ reason })

/** Pauses all relays or all workers, and resumes them. */
export function pauseRoutes(db: Kysely<Tables>): Router {
  const router = Router()
  router.post('/pauses/:component', async (req, res) => {
    const { reason: why, for_ms: forMs } = parsed(pauseBody, req.body)
    orConflict(await pause(db, { component: componentOf(req), reason: why, forMs, by: operatorOf(res) }))
    res.json({})
  })
  router.post('/pauses/:component/resume', async (req, res) => {
    const { reason: why } = parsed(resumeBody, req.body)
    orConflict(await resume(db, { component: componentOf(req), reason: why, by: operatorOf(res) }))
    res.json({})
  })
  return router
}

function componentOf(req: Request): Pausable {
  const found = PAUSABLE.find((name) => name === req.params.component)
  if (!found) throw new Refusal(404, `Only ${PAUSABLE.join(' and ')} can be paused.`)
  return found
}

import type { Tables } from '@cashflow/db'
import { ACTION_NAMES, type Action, type ActionName, searchActions } from '@cashflow/db/operator'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { ActAnswer, AuditAnswer } from '../answers.ts'
import { parsed, text, timeOf, unreadableNotes } from './request.ts'

const PAGE = 100

const query = z.object({
  target: text(255).optional(),
  actor: text(255).optional(),
  action: z.enum(ACTION_NAMES as unknown as [ActionName, ...ActionName[]]).optional(),
  before: z
    .string()
    .regex(/^[1-9]\d{0,17}$/, 'is no id of an act')
    .optional(),
})

/** GET /audit: the acts of operators, the newest first. */
export function auditRoutes(db: Kysely<Tables>): Router {
  return Router().get('/audit', async (req, res) => {
    const { acts, next, notes } = await page(db, parsed(query, req.query))
    res.json({ acts, next, notes } satisfies AuditAnswer)
  })
}

async function page(db: Kysely<Tables>, filter: z.output<typeof query>): Promise<AuditAnswer> {
  const { actions, leftOut } = await searchActions(db, { ...filter, limit: PAGE + 1 })
  const shown = actions.slice(0, PAGE)
  return {
    acts: shown.map(toActAnswer),
    next: actions.length > PAGE ? (shown.at(-1)?.id ?? null) : null,
    notes: unreadableNotes(leftOut),
  }
}

export function toActAnswer({ id, at, actor, via, action, target, reason, before, after }: Action): ActAnswer {
  return { id, at: timeOf(at), actor, via, action, target, reason, before, after }
}

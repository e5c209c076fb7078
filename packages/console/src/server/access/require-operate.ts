import type { RequestHandler } from 'express'
import { refuse } from '../refusal.ts'
import { isSafe } from './origin.ts'

/** Refuses every act of a login that may only read. So no route has to remember it. */
export const requireOperate: RequestHandler = (req, res, next) => {
  if (isSafe(req.method) || res.locals.operator.role === 'operate') next()
  else refuse(res, 403, 'This login may read, and not act.')
}

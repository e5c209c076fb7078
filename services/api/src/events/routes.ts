import { Router } from 'express'
import { requireScope } from '../auth/authenticate.ts'
import { methodNotAllowed } from '../errors.ts'
import { createFeedHandler, type FeedOptions } from './feed.ts'

export function eventRoutes(options: FeedOptions): Router {
  const router = Router()
  router.route('/').get(requireScope('payments:read'), createFeedHandler(options)).all(methodNotAllowed('GET', 'HEAD'))
  return router
}

import { findEvents, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { Problem } from '../problem.ts'
import { readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { paymentEventsJson } from './event-json.ts'

const NO_PARAMETERS = z.object({})

/** GET /payments/:id/events: 200 with all committed events of the payment, in the order of their sequence, or 404. */
export function createPaymentEventsHandler({
  db,
  lists,
  logger,
}: {
  db: Kysely<Tables>
  lists: RequestQueue
  logger: Logger
}): RequestHandler<{ id: string }> {
  return async (req, res) => {
    readQuery(req, NO_PARAMETERS)
    const { id: paymentId } = req.params
    const { merchantId, requestId } = res.locals
    const events = isUuid(paymentId) ? await lists.run(res, () => findEvents(db, { merchantId, paymentId })) : []
    const [first] = events
    if (!first) throw new Problem('not-found', 'No payment has this id.')
    res.locals.paymentId = first.paymentId
    res.setHeader('Cache-Control', 'private, no-cache')
    sendJson(res, 200, { data: paymentEventsJson(events, { logger, requestId }) })
  }
}

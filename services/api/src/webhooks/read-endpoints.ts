import { findEndpoint, listEndpoints, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { Cursors } from '../cursor.ts'
import { Problem } from '../problem.ts'
import { pageCursor, pageLimit, readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { endpointJson } from './endpoint-json.ts'

export const ENDPOINT_LIST_QUERY = z.object({ limit: pageLimit, cursor: pageCursor })

/** GET /webhook-endpoints: 200 with endpoints of the merchant, the oldest first. */
export function listEndpointsHandler({
  db,
  lists,
  cursors,
}: {
  db: Kysely<Tables>
  lists: RequestQueue
  cursors: Cursors
}): RequestHandler {
  return async (req, res) => {
    const { limit, cursor } = readQuery(req, ENDPOINT_LIST_QUERY)
    const { merchantId } = res.locals
    const scope = { list: 'webhook-endpoints', merchantId } as const
    const page = await lists.run(res, async () => {
      const [after] = cursor === undefined ? [] : await cursors.open(scope, cursor)
      const found = await listEndpoints(db, { merchantId, after, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1) : undefined
      return { shown, next: last ? await cursors.seal(scope, [last.id]) : null }
    })
    sendJson(res, 200, { data: page.shown.map(endpointJson), has_more: page.next !== null, next_cursor: page.next })
  }
}

/** GET /webhook-endpoints/:id: 200 with the endpoint, or 404. */
export function getEndpointHandler({
  db,
  reads,
}: {
  db: Kysely<Tables>
  reads: RequestQueue
}): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { id } = req.params
    const { merchantId } = res.locals
    const endpoint = isUuid(id) ? await reads.run(res, () => findEndpoint(db, { merchantId, id })) : undefined
    if (!endpoint) throw unknownEndpoint()
    sendJson(res, 200, endpointJson(endpoint))
  }
}

export function unknownEndpoint(): Problem {
  return new Problem('not-found', 'No webhook endpoint has this id.')
}

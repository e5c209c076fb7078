import { type FeedCursor, readFeed, type Tables } from '@cashflow/db'
import { EVENT_TYPES } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { CursorScope, Cursors, Position } from '../cursor.ts'
import { pageCursor, pageLimit, readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { eventJson } from './event-json.ts'
import { createFeedDelayLog } from './feed-delay.ts'

export interface FeedOptions {
  db: Kysely<Tables>
  lists: RequestQueue
  cursors: Cursors
  logger: Logger
}

export const FEED_QUERY = z.object({
  type: z
    .enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(', ')}`)
    .optional()
    .meta({ description: 'Only events of this type.' }),
  after: pageCursor,
  limit: pageLimit,
})

/**
 * GET /events: 200 with the next events of the merchant's payments, in an order that later events never change.
 *
 * `next_cursor` is there also after the last event: with it the client asks for later ones.
 */
export function createFeedHandler({ db, lists, cursors, logger }: FeedOptions): RequestHandler {
  const logDelay = createFeedDelayLog(db, logger)
  return async (req, res) => {
    const { type, after, limit } = readQuery(req, FEED_QUERY)
    const { merchantId } = res.locals
    const scope: CursorScope = { list: 'events', merchantId, filters: type === undefined ? {} : { type } }
    const page = await lists.run(res, async () => {
      const from = after === undefined ? undefined : toCursor(await cursors.open(scope, after))
      const page = await readFeed(db, { merchantId, type, limit, after: from })
      await logDelay(page)
      return { ...page, cursor: await cursors.seal(scope, toPosition(page.next)) }
    })
    res.setHeader('Cache-Control', 'private, no-cache')
    sendJson(res, 200, {
      data: page.events.map(eventJson),
      has_more: page.hasMore,
      next_cursor: page.cursor,
      delayed_ms: page.delayedMs,
    })
  }
}

const toPosition = ({ epoch, xid, id, createdAtMs }: FeedCursor): Position => [epoch, xid, id, String(createdAtMs)]

/** Of a position that only `toPosition` can have made. */
function toCursor([epoch = '', xid = '', id = '', createdAtMs]: Position): FeedCursor {
  return { epoch, xid, id, createdAtMs: Number(createdAtMs) }
}

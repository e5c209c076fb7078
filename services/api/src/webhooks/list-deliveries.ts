import { type DeliveryStatus, listDeliveries, type Tables } from '@cashflow/db'
import { isUuid, parseEventId } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { Cursors } from '../cursor.ts'
import { pageCursor, pageLimit, readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import { deliveryJson } from './delivery-json.ts'

export interface ListDeliveriesOptions {
  db: Kysely<Tables>
  lists: RequestQueue
  cursors: Cursors
}

const STATUSES = ['pending', 'waiting', 'succeeded', 'expired'] as const satisfies readonly DeliveryStatus[]

/** For the API's document: what `parseEventId` reads. */
export const EVENT_ID_DOCUMENT = {
  type: 'string' as const,
  pattern: '^evt_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[1-9][0-9]{0,8}$',
  minLength: 42,
  maxLength: 50,
}

export const DELIVERY_LIST_QUERY = z.object({
  endpoint: z
    .string()
    .refine(isUuid, 'must be the id of an endpoint')
    .transform((id) => id.toLowerCase())
    .optional()
    .meta({
      description: 'Only deliveries to the endpoint with this id.',
      override: { format: 'uuid', minLength: 36, maxLength: 36 },
    }),
  status: z
    .enum(STATUSES, `must be one of ${STATUSES.join(', ')}`)
    .optional()
    .meta({ description: 'Only deliveries with this status.' }),
  event: z
    .string()
    .refine((id) => parseEventId(id) !== undefined, 'must be the id of an event')
    .optional()
    .meta({
      description: 'Only deliveries of the event with this id.',
      override: EVENT_ID_DOCUMENT,
    }),
  limit: pageLimit,
  cursor: pageCursor,
})

/** GET /webhook-deliveries: 200 with deliveries to the merchant's endpoints, newest first. */
export function listDeliveriesHandler({ db, lists, cursors }: ListDeliveriesOptions): RequestHandler {
  return async (req, res) => {
    const { limit, cursor, ...filters } = readQuery(req, DELIVERY_LIST_QUERY)
    const { merchantId } = res.locals
    const scope = { list: 'webhook-deliveries', merchantId, filters } as const
    const page = await lists.run(res, async () => {
      const [before] = cursor === undefined ? [] : await cursors.open(scope, cursor)
      const found = await listDeliveries(db, {
        merchantId,
        endpointId: filters.endpoint,
        status: filters.status,
        event: filters.event === undefined ? undefined : parseEventId(filters.event),
        before,
        limit: limit + 1,
      })
      const shown = found.slice(0, limit)
      const last = found.length > limit ? shown.at(-1) : undefined
      return { shown, next: last ? await cursors.seal(scope, [last.id]) : null }
    })
    sendJson(res, 200, { data: page.shown.map(deliveryJson), has_more: page.next !== null, next_cursor: page.next })
  }
}

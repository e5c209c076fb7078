import { findEventDeliveries, redeliver, type Tables } from '@cashflow/db'
import { isUuid, parseEventId } from '@cashflow/domain'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { Problem } from '../problem.ts'
import { readQuery } from '../query.ts'
import type { RequestQueue } from '../request-queue.ts'
import { sendJson } from '../send-json.ts'
import type { ChangeEndpointOptions } from './create-endpoint.ts'
import { deliveryJson, deliveryWithAttemptsJson } from './delivery-json.ts'
import { readBody } from './endpoint-body.ts'

const NO_PARAMETERS = z.object({})

export const REDELIVERY_BODY = z.strictObject({
  endpoint_id: z
    .string('must be a string')
    .refine(isUuid, 'must be the id of an endpoint')
    .optional()
    .meta({
      description: 'Only to this endpoint. Without it, to each endpoint that has a delivery of the event.',
      override: { format: 'uuid', minLength: 36, maxLength: 36 },
      examples: ['01a200e6-61da-7305-a53d-01a16fbc86b7'],
    }),
})

/** GET /events/:id/deliveries: 200 with all deliveries of the event and the attempts of each, or 404. */
export function eventDeliveriesHandler({
  db,
  lists,
}: {
  db: Kysely<Tables>
  lists: RequestQueue
}): RequestHandler<{ id: string }> {
  return async (req, res) => {
    readQuery(req, NO_PARAMETERS)
    const name = parseEventId(req.params.id)
    const { merchantId } = res.locals
    const found = name && (await lists.run(res, () => findEventDeliveries(db, { ...name, merchantId })))
    if (!found) throw unknownEvent()
    sendJson(res, 200, onlyPage(found.map(deliveryWithAttemptsJson)))
  }
}

/** POST /events/:id/redeliver: 202 with the deliveries that are due again, or 404. A repeated request does no more. */
export function redeliverHandler({ db, changes }: ChangeEndpointOptions): RequestHandler<{ id: string }> {
  return async (req, res) => {
    const { endpoint_id: endpointId } = readBody(req.body, REDELIVERY_BODY, 'a redelivery')
    const name = parseEventId(req.params.id)
    const { merchantId } = res.locals
    const made = name && (await changes.run(res, () => redeliver(db, { ...name, merchantId, endpointId })))
    if (!made) throw unknownEvent()
    if (made.length === 0)
      throw new Problem('not-found', 'The event has no delivery to such an endpoint. A replay makes one.')
    sendJson(res, 202, onlyPage(made.map(deliveryJson)))
  }
}

/** A list that is never longer than one page: a merchant has few endpoints. */
const onlyPage = <Item>(data: readonly Item[]) => ({ data, has_more: false, next_cursor: null })

function unknownEvent(): Problem {
  return new Problem('not-found', 'No event has this id.')
}

import type { Kysely } from 'kysely'
import type { Tables } from '../tables.ts'
import { lockCursor } from './lock-cursor.ts'
import { FAILING_AFTER } from './settle.ts'
import type { DisabledReason } from './tables.ts'
import { disable } from './update-endpoint.ts'

export interface Disabling {
  readonly endpointId: string
  /** The URL that was tried. Another one by now may work. */
  readonly url: string
  readonly reason: Extract<DisabledReason, 'failing' | 'gone'>
}

/**
 * Disables an endpoint. Its deliveries stay as they are, and the place in the feed is kept from which on it gets no event.
 * Enabling it goes on with the deliveries, and a replay begins at that place.
 *
 * @returns false if it is disabled or deleted already, has another URL, or is `failing` and has succeeded since
 */
export function disableFailing(db: Kysely<Tables>, { endpointId, url, reason }: Disabling): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const endpoint = tx.selectFrom('webhook_endpoints').where('id', '=', endpointId)
    const found = await endpoint.select('merchant_id').executeTakeFirst()
    const place = found && (await lockCursor(tx, found.merchant_id))
    const isEnabled = await endpoint
      .select('id')
      .where('url', '=', url)
      .where('disabled_at', 'is', null)
      .where('deleted_at', 'is', null)
      .forUpdate()
      .executeTakeFirst()
    const queue = await tx
      .selectFrom('webhook_queues')
      .select('failures')
      .where('endpoint_id', '=', endpointId)
      .forUpdate()
      .executeTakeFirst()
    const isFailing = reason === 'gone' || (queue?.failures ?? 0) >= FAILING_AFTER
    // An enabled endpoint has a cursor.
    if (!place || !isEnabled || !isFailing) return false
    await disable(tx, { id: endpointId, reason, place })
    return true
  })
}

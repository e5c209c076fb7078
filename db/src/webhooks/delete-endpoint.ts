import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { type EndpointName, lockEndpoint } from './endpoint.ts'
import { lockCursor } from './lock-cursor.ts'

/**
 * Deletes an endpoint: nothing is sent to it any more, and no list has it or its deliveries. An attempt that runs is not
 * ended.
 *
 * @returns false if the merchant has no such endpoint
 */
export function deleteEndpoint(db: Kysely<Tables>, { merchantId, id }: EndpointName): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    await lockCursor(tx, merchantId)
    if (!(await lockEndpoint(tx, { merchantId, id }))) return false
    const now = sql<Date>`clock_timestamp()`
    await tx.updateTable('webhook_endpoints').set({ deleted_at: now }).where('id', '=', id).execute()
    await tx
      .updateTable('webhook_replays')
      .set({ finished_at: now })
      .where('endpoint_id', '=', id)
      .where('finished_at', 'is', null)
      .execute()
    await tx.updateTable('webhook_queues').set({ is_enabled: false }).where('endpoint_id', '=', id).execute()
    return true
  })
}

import { defined } from '@cashflow/async'
import type { Kysely } from 'kysely'
import type { Tables } from '../tables.ts'
import { type Endpoint, type EndpointName, type EndpointSettings, findEndpoint, type SealedSecret } from './endpoint.ts'
import { lockCursor, readHorizon, skipToHorizon } from './lock-cursor.ts'

export const ENDPOINTS_MAX = 16

export type CreatedEndpoint =
  | { readonly outcome: 'created'; readonly endpoint: Endpoint }
  /** The merchant has as many endpoints as it may have. */
  | { readonly outcome: 'limit' }

/**
 * Creates an endpoint. It gets every event that is committed after it was created, and perhaps a few from just before. A
 * repeated call with the same id finds the endpoint that the first one created.
 */
export function createEndpoint(
  db: Kysely<Tables>,
  { merchantId, id, secret, ...settings }: EndpointName & EndpointSettings & { readonly secret: SealedSecret },
): Promise<CreatedEndpoint> {
  const find = async (tx: Kysely<Tables>): Promise<CreatedEndpoint | undefined> => {
    const endpoint = await findEndpoint(tx, { merchantId, id })
    return endpoint && { outcome: 'created', endpoint }
  }
  return db.transaction().execute(async (tx): Promise<CreatedEndpoint> => {
    await lockCursor(tx, merchantId)
    const earlier = await find(tx)
    if (earlier) return earlier
    // At most 16 rows: counted under the cursor's lock, which every creation takes.
    const { count } = await tx
      .selectFrom('webhook_endpoints')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('merchant_id', '=', merchantId)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow()
    if (Number(count) >= ENDPOINTS_MAX) return { outcome: 'limit' }
    const horizon = await readHorizon(tx)
    await skipToHorizon(tx, { merchantId, horizon })
    const { url, description, types, ordering } = settings
    await tx
      .insertInto('webhook_endpoints')
      .values({
        ...{ id, merchant_id: merchantId, url, description, ordering },
        types: types && [...types],
        secret: secret.sealed,
        secret_key_id: secret.keyId,
        start_xid: horizon.xid,
      })
      .execute()
    await tx.insertInto('webhook_queues').values({ endpoint_id: id, merchant_id: merchantId }).execute()
    return defined(await find(tx), 'created endpoint')
  })
}

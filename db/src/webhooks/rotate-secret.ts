import { defined } from '@cashflow/async'
import type { Kysely } from 'kysely'
import { fromNow } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { type Endpoint, type EndpointName, findEndpoint, lockEndpoint, type SealedSecret } from './endpoint.ts'

/**
 * Gives an endpoint a new secret. The former one signs as well until the overlap is over.
 *
 * A rotation during an overlap replaces the newest secret, and keeps the former one: the answer with the newest one may have
 * been lost, and then the receiver knows only the former one. A repeated call with the same secret changes nothing.
 *
 * @param overlapMs time from now, in milliseconds; 0 ends each former secret
 * @returns undefined if the merchant has no such endpoint
 */
export function rotateSecret(
  db: Kysely<Tables>,
  { merchantId, id, secret, overlapMs }: EndpointName & { readonly secret: SealedSecret; readonly overlapMs: number },
): Promise<Endpoint | undefined> {
  return db.transaction().execute(async (tx) => {
    const row = await lockEndpoint(tx, { merchantId, id })
    if (!row) return undefined
    const { secretRotatesUntil } = defined(await findEndpoint(tx, { merchantId, id }), 'locked endpoint')
    const kept =
      secretRotatesUntil === null
        ? { former_secret: row.secret, former_secret_key_id: row.secret_key_id }
        : { former_secret: row.former_secret, former_secret_key_id: row.former_secret_key_id }
    const former =
      overlapMs > 0
        ? { ...kept, former_secret_until: fromNow(overlapMs) }
        : { former_secret: null, former_secret_key_id: null, former_secret_until: null }
    if (!row.secret.equals(secret.sealed))
      await tx
        .updateTable('webhook_endpoints')
        .set({ secret: secret.sealed, secret_key_id: secret.keyId, ...former })
        .where('id', '=', id)
        .execute()
    return await findEndpoint(tx, { merchantId, id })
  })
}

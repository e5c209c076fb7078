import type { Kysely } from 'kysely'
import type { Done } from '../operator/dead-letters.ts'
import { fromNow } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { type KeyScope, type NewKeyOptions, newKey } from './api-key.ts'
import { KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'
import { merchantExists, NO_SUCH_MERCHANT } from './merchants.ts'

/** A stored key with its whole text, which is not stored and cannot be had again. */
export interface CreatedKey {
  readonly key: KeyFacts
  readonly secret: string
}

/**
 * Creates a key of a merchant. Each call creates another one. If the command dies before it prints the secret, no client can
 * use the key.
 *
 * @param expires a time, or a number of milliseconds from now by the database's clock; by default never
 */
export async function createKey(
  db: Kysely<Tables>,
  {
    merchantId,
    name,
    scopes,
    expires,
    ...options
  }: NewKeyOptions & {
    merchantId: string
    name: string
    scopes: readonly KeyScope[]
    expires?: Date | { afterMs: number } | undefined
  },
): Promise<Done<CreatedKey>> {
  if (!(await merchantExists(db, merchantId))) return { done: false, why: NO_SUCH_MERCHANT }
  const { id, secret, hash, pepperId } = newKey(options)
  const row = await db
    .insertInto('api_keys')
    .values({
      id,
      merchant_id: merchantId,
      name,
      secret_hash: hash,
      pepper_id: pepperId,
      scopes: [...scopes],
      expires_at: expires && 'afterMs' in expires ? fromNow(expires.afterMs) : expires,
    })
    .returning(KEY_COLUMNS)
    .executeTakeFirstOrThrow()
  return { done: true, key: toKeyFacts(row), secret }
}

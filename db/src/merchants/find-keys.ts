import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import type { KeyScope } from './api-key.ts'

/** A stored key, as authentication needs it. */
export interface StoredKey {
  readonly id: string
  readonly merchantId: string
  /** To be compared with `hashKey` of the key's text, in constant time. */
  readonly hash: Buffer
  readonly pepperId: string
  readonly scopes: readonly KeyScope[]
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** Time of the look-up by the database's clock, the only one that `expiresAt` is judged by. */
  readonly now: Date
}

/**
 * Finds keys by their ids, in any order, in one statement. It takes no merchant: a key tells which merchant sends a request.
 * Nothing of a row may be used before the hash is compared.
 */
export function findKeys(db: Kysely<Tables>, ids: readonly string[]): Promise<StoredKey[]> {
  return db
    .selectFrom('api_keys')
    .where('id', '=', (eb) => eb.fn.any(eb.val([...ids])))
    .select([
      'id',
      'merchant_id as merchantId',
      'secret_hash as hash',
      'pepper_id as pepperId',
      'scopes',
      'expires_at as expiresAt',
      'revoked_at as revokedAt',
    ])
    .select(sql<Date>`clock_timestamp()`.as('now')) // The builder has no such function.
    .execute()
}

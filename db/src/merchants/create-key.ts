import type { Kysely, Transaction } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
import { fromNow } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { type KeyScope, type NewKeyOptions, newKey } from './api-key.ts'
import { actionFactsOf, KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'
import { merchantExists, NO_SUCH_MERCHANT } from './merchants.ts'

/** A stored key with its whole text, which is not stored and cannot be had again. */
export interface CreatedKey {
  readonly key: KeyFacts
  readonly secret: string
}

export interface NewKeyOfMerchant extends NewKeyOptions {
  readonly merchantId: string
  readonly name: string
  readonly scopes: readonly KeyScope[]
  /** A time, or a number of milliseconds from now by the database's clock. By default a key does not expire. */
  readonly expires?: Date | { afterMs: number } | undefined
  readonly by: Operator
}

/**
 * Creates a key of a merchant. Each call creates another one. If the command dies before it prints the secret, no client can
 * use the key.
 */
export function createKey(db: Kysely<Tables>, options: NewKeyOfMerchant): Promise<Done<CreatedKey>> {
  return orRefused(
    { act: 'create it', on: `a key of merchant ${options.merchantId}` },
    db.transaction().execute(async (tx): Promise<Done<CreatedKey>> => {
      if (!(await merchantExists(tx, options.merchantId))) return refused(NO_SUCH_MERCHANT)
      return { done: true, ...(await storeKey(tx, options)) }
    }),
  )
}

/** Stores a key of a merchant that exists. */
export async function storeKey(
  tx: Transaction<Tables>,
  { merchantId, name, scopes, expires, by, ...options }: NewKeyOfMerchant,
): Promise<CreatedKey> {
  const { id, secret, hash, pepperId } = newKey(options)
  const row = await tx
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
  const key = toKeyFacts(row)
  await recordAction(tx, by, { action: 'keys create', target: id, after: actionFactsOf(key) })
  return { key, secret }
}

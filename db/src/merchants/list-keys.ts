import { type Kysely, type Selectable, sql } from 'kysely'
import type { ActionFacts } from '../operator/actions.ts'
import type { Done } from '../operator/done.ts'
import type { ApiKeysTable, Tables } from '../tables.ts'
import type { KeyScope } from './api-key.ts'
import { merchantExists, NO_SUCH_MERCHANT } from './merchants.ts'

/** What operators see of a key: all but its hash. */
export interface KeyFacts {
  readonly id: string
  readonly merchantId: string
  readonly name: string
  readonly status: 'active' | 'expired' | 'revoked'
  readonly scopes: readonly KeyScope[]
  readonly pepperId: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly lastUsedAt: Date | null
  readonly replacedBy: string | null
}

/** The columns of `toKeyFacts`. */
export const KEY_COLUMNS = [
  'id',
  'merchant_id',
  'name',
  'scopes',
  'pepper_id',
  'created_at',
  'expires_at',
  'revoked_at',
  'last_used_at',
  'replaced_by',
  // As `sql`: the builder has no such function. The database's clock decides when a key has expired.
  sql<Date>`clock_timestamp()`.as('now'),
] as const

export function toKeyFacts(row: Omit<Selectable<ApiKeysTable>, 'secret_hash'> & { now: Date }): KeyFacts {
  const expired = row.expires_at !== null && row.expires_at <= row.now
  return {
    id: row.id,
    merchantId: row.merchant_id,
    name: row.name,
    status: row.revoked_at ? 'revoked' : expired ? 'expired' : 'active',
    scopes: row.scopes,
    pepperId: row.pepper_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    replacedBy: row.replaced_by,
  }
}

/** What an operator's act records of a key. */
export function actionFactsOf({ merchantId, name, scopes, expiresAt, revokedAt, replacedBy }: KeyFacts): ActionFacts {
  return {
    merchant_id: merchantId,
    name,
    scopes,
    expires_at: expiresAt,
    revoked_at: revokedAt,
    replaced_by: replacedBy,
  }
}

/** Lists the keys of a merchant, or of all merchants, the oldest first. */
export async function listKeys(
  db: Kysely<Tables>,
  { merchantId }: { merchantId?: string | undefined } = {},
): Promise<Done<{ keys: KeyFacts[] }>> {
  if (merchantId !== undefined && !(await merchantExists(db, merchantId))) return { done: false, why: NO_SUCH_MERCHANT }
  const keys = db.selectFrom('api_keys').select(KEY_COLUMNS).orderBy('created_at').orderBy('id')
  const rows = await (merchantId === undefined ? keys : keys.where('merchant_id', '=', merchantId)).execute()
  return { done: true, keys: rows.map(toKeyFacts) }
}

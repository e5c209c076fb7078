import type { Kysely } from 'kysely'
import type { Done } from '../operator/dead-letters.ts'
import type { Tables } from '../tables.ts'
import { KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'

export const NO_SUCH_KEY = 'No key has this id.'

/** Revokes a key, forever. A revoked key keeps the time of its first revocation. */
export async function revokeKey(db: Kysely<Tables>, id: string): Promise<Done<{ key: KeyFacts }>> {
  const row = await db
    .updateTable('api_keys')
    .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.fn<Date>('now')) }))
    .where('id', '=', id)
    .returning(KEY_COLUMNS)
    .executeTakeFirst()
  return row ? { done: true, key: toKeyFacts(row) } : { done: false, why: NO_SUCH_KEY }
}

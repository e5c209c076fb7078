import { type Kysely, sql } from 'kysely'
import type { Done } from '../operator/dead-letters.ts'
import { fromNow } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import type { NewKeyOptions } from './api-key.ts'
import { type CreatedKey, createKey } from './create-key.ts'
import { KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'
import { NO_SUCH_KEY } from './revoke-key.ts'

/**
 * Creates the successor of an active key, with its merchant, name, scopes and lifetime. Both are valid for the overlap, then
 * the former one expires. A key has one successor: a repeated rotation is refused, and names the successor.
 *
 * @param overlapMs time from now for which the former key stays valid, unless it expires earlier by itself
 */
export function rotateKey(
  db: Kysely<Tables>,
  { id, overlapMs, ...options }: NewKeyOptions & { id: string; overlapMs: number },
): Promise<Done<CreatedKey & { former: KeyFacts }>> {
  return db.transaction().execute(async (tx) => {
    const row = await tx.selectFrom('api_keys').select(KEY_COLUMNS).where('id', '=', id).forUpdate().executeTakeFirst()
    if (!row) return { done: false, why: NO_SUCH_KEY }
    const { status, replacedBy, merchantId, name, scopes, createdAt, expiresAt } = toKeyFacts(row)
    if (status !== 'active') return { done: false, why: `The key is ${status}. Create another one.` }
    if (replacedBy !== null)
      return {
        done: false,
        why: `Key ${replacedBy} has replaced it. If the secret of that key got lost, rotate that one.`,
      }
    const expires = expiresAt ? { afterMs: expiresAt.getTime() - createdAt.getTime() } : undefined
    const created = await createKey(tx, { merchantId, name, scopes, expires, ...options })
    if (!created.done) throw new Error(`bug: key ${id} has no merchant`)
    const former = await tx
      .updateTable('api_keys')
      .set({
        replaced_by: created.key.id,
        expires_at: sql<Date>`least(expires_at, ${fromNow(overlapMs)})`, // The builder has no such function.
      })
      .where('id', '=', id)
      .returning(KEY_COLUMNS)
      .executeTakeFirstOrThrow()
    return { ...created, former: toKeyFacts(former) }
  })
}

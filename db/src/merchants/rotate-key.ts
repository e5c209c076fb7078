import { type Kysely, sql } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
import { fromNow } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import type { NewKeyOptions } from './api-key.ts'
import { type CreatedKey, storeKey } from './create-key.ts'
import { actionFactsOf, KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'
import { NO_SUCH_KEY } from './revoke-key.ts'

/**
 * Creates the successor of an active key, with its merchant, name, scopes and lifetime. Both are valid for the overlap, then
 * the former one expires. A key has one successor: a repeated rotation is refused, and names the successor.
 *
 * @param overlapMs time from now for which the former key stays valid, unless it expires earlier by itself
 */
export function rotateKey(
  db: Kysely<Tables>,
  { id, overlapMs, by, ...options }: NewKeyOptions & { id: string; overlapMs: number; by: Operator },
): Promise<Done<CreatedKey & { former: KeyFacts }>> {
  return orRefused(
    { act: 'rotate', on: `key ${id}` },
    db.transaction().execute(async (tx) => {
      const row = await tx
        .selectFrom('api_keys')
        .select(KEY_COLUMNS)
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst()
      if (!row) return refused(NO_SUCH_KEY)
      const before = toKeyFacts(row)
      const { status, replacedBy, merchantId, name, scopes, createdAt, expiresAt } = before
      if (status !== 'active') return refused(`The key is ${status}. Create another one.`)
      if (replacedBy !== null)
        return refused(`Key ${replacedBy} has replaced it. If the secret of that key got lost, rotate that one.`)
      const expires = expiresAt ? { afterMs: expiresAt.getTime() - createdAt.getTime() } : undefined
      const created = await storeKey(tx, { merchantId, name, scopes, expires, by, ...options })
      const replaced = await tx
        .updateTable('api_keys')
        .set({
          replaced_by: created.key.id,
          expires_at: sql<Date>`least(expires_at, ${fromNow(overlapMs)})`, // The builder has no such function.
        })
        .where('id', '=', id)
        .returning(KEY_COLUMNS)
        .executeTakeFirstOrThrow()
      const former = toKeyFacts(replaced)
      await recordAction(tx, by, {
        action: 'keys rotate',
        target: id,
        before: actionFactsOf(before),
        after: actionFactsOf(former),
      })
      return { done: true, ...created, former }
    }),
  )
}

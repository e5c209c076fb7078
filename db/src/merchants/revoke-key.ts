import type { Kysely } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
import type { Tables } from '../tables.ts'
import { actionFactsOf, KEY_COLUMNS, type KeyFacts, toKeyFacts } from './list-keys.ts'

export const NO_SUCH_KEY = 'No key has this id.'

/** Revokes a key, forever. A revoked key keeps the time of its first revocation, and nothing more is recorded. */
export function revokeKey(
  db: Kysely<Tables>,
  { id, by }: { id: string; by: Operator },
): Promise<Done<{ key: KeyFacts }>> {
  return orRefused(
    { act: 'revoke', on: `key ${id}` },
    db.transaction().execute(async (tx) => {
      const before = await tx
        .selectFrom('api_keys')
        .select(KEY_COLUMNS)
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst()
      if (!before) return refused(NO_SUCH_KEY)
      if (before.revoked_at) return { done: true, key: toKeyFacts(before) }
      const row = await tx
        .updateTable('api_keys')
        .set(({ fn }) => ({ revoked_at: fn<Date>('now') }))
        .where('id', '=', id)
        .returning(KEY_COLUMNS)
        .executeTakeFirstOrThrow()
      const key = toKeyFacts(row)
      await recordAction(tx, by, {
        action: 'keys revoke',
        target: id,
        before: actionFactsOf(toKeyFacts(before)),
        after: actionFactsOf(key),
      })
      return { done: true, key }
    }),
  )
}

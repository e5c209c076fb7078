import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { type Operator, recordAction } from './actions.ts'

/** Rows that one login deletes at most. */
const DELETED_MAX = 100

/**
 * Uses a login token up. Also deletes rows of tokens that expired a day ago or earlier. Clocks of machines differ, and a token
 * whose row is gone could be used again until it expires.
 *
 * @returns false if it was used before
 */
export async function useLoginToken(
  db: Kysely<Tables>,
  { id, expiresAt }: { readonly id: string; readonly expiresAt: Date },
): Promise<boolean> {
  await db
    .deleteFrom('console_logins')
    .where('id', 'in', (old) =>
      old
        .selectFrom('console_logins')
        .select('id')
        .where('expires_at', '<', sql<Date>`now() - interval '1 day'`)
        .limit(DELETED_MAX),
    )
    .execute()
  const used = await db
    .insertInto('console_logins')
    .values({ id, expires_at: expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .execute()
  return used.length > 0
}

export interface CreatedLoginToken {
  readonly id: string
  /** The operator that logs in with it. */
  readonly name: string
  readonly role: string
  readonly expiresAt: Date
}

/** Records that a login token was created. The token itself is not stored. */
export async function recordLoginToken(
  db: Kysely<Tables>,
  { id, name, role, expiresAt }: CreatedLoginToken,
  by: Operator,
): Promise<void> {
  const after = { token: id, role, expires_at: expiresAt }
  await db.transaction().execute((tx) => recordAction(tx, by, { action: 'console token', target: name, after }))
}

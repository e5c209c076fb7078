import { type Kysely, sql } from 'kysely'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

const USED = recordSet('used', { id: 'text', used_at: 'timestamptz' })

/**
 * Keeps `last_used_at` of keys, each given at most once. It writes only where that moves the time on by at least a minute, and
 * skips a key that another statement is changing: the next call comes soon. So it waits for no lock, and cannot deadlock.
 */
export async function touchKeys(
  db: Kysely<Tables>,
  uses: readonly { readonly id: string; readonly usedAt: Date }[],
): Promise<void> {
  const given = USED.json(uses.map(({ id, usedAt }) => ({ id, used_at: usedAt })))
  await db
    .with('free', (qb) =>
      qb
        .selectFrom('api_keys as k')
        .innerJoin(USED.from(sql.val(given)), 'used.id', 'k.id')
        // A process whose clock is ahead would hide later uses.
        .select(['k.id', sql<Date>`least(used.used_at, now())`.as('used_at')])
        .where((eb) =>
          eb.or([
            eb('k.last_used_at', 'is', null),
            // As `sql`: the builder has no intervals.
            eb('k.last_used_at', '<=', sql<Date>`least(used.used_at, now()) - interval '1 minute'`),
          ]),
        )
        .forNoKeyUpdate('k')
        .skipLocked(),
    )
    .updateTable('api_keys')
    .from('free')
    .set((eb) => ({ last_used_at: eb.ref('free.used_at') }))
    .whereRef('api_keys.id', '=', 'free.id')
    .execute()
}

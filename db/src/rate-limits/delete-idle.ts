import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

const BATCH_MAX = 10_000

/** Deletes buckets that have been unused for a minute. They are full, as a bucket without a row is. */
export async function deleteIdleRateLimits(db: Kysely<Tables>): Promise<void> {
  for (let deleted = BATCH_MAX; deleted === BATCH_MAX; ) {
    const { numDeletedRows } = await db
      .deleteFrom('rate_limits')
      // An array, not a join: PostgreSQL makes it once. The builder has no ARRAY.
      .where('key', '=', (eb) => {
        const idle = eb
          .selectFrom('rate_limits')
          .select('key')
          .where('updated_at', '<', sql<Date>`now() - interval '1 minute'`)
          .limit(BATCH_MAX)
          .forUpdate()
          .skipLocked()
        return sql<string>`any(array${idle})`
      })
      .executeTakeFirstOrThrow()
    deleted = Number(numDeletedRows)
  }
}

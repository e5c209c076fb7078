import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * Asks whether this worker may crash now, for a payment that asks for it. All workers together may do so once a minute. Of
 * workers that ask at the same time one may: the others wait for its row lock, and see its time.
 */
export async function mayCrash(db: Kysely<Tables>): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('simulated_crashes')
    .set({ crashed_at: sql`clock_timestamp()` })
    // As `sql`: the builder has no intervals.
    .where('crashed_at', '<', sql<Date>`clock_timestamp() - interval '1 minute'`)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

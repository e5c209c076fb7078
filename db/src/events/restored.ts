import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** Stored events have xids that this server has not assigned yet. */
export class RestoredEventsError extends Error {
  readonly code = 'events_restored'

  constructor() {
    super(
      'Stored events have transaction ids of another server: the database was restored from a dump. Their order would break. ' +
        'Run "npm run migrate", then start again.',
    )
  }
}

/** @throws RestoredEventsError if an event has an xid that is not below the server's counter: later events would come before it */
export async function ensureEventOrder(db: Kysely<Tables>): Promise<void> {
  if (await hasRestoredXids(db)) throw new RestoredEventsError()
}

/** True if a stored event has an xid that is not below the server's counter. Reads one index entry a merchant. */
export async function hasRestoredXids(db: Kysely<Tables>): Promise<boolean> {
  const row = await db
    .selectFrom('merchants as m')
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('payment_events as e')
          .select('e.id')
          .whereRef('e.merchant_id', '=', 'm.id')
          // As `sql`: the builder has no snapshots.
          .where('e.xid', '>=', sql<string>`pg_snapshot_xmax(pg_current_snapshot())`)
          .limit(1)
          .as('restored'),
      (on) => on.onTrue(),
    )
    .select('restored.id')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

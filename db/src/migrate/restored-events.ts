import { type Kysely, sql } from 'kysely'
import { hasRestoredXids } from '../events/restored.ts'
import type { MigrationTables } from './ledger.ts'
import { type Run, retryInTransaction } from './run-migration.ts'

/** The migration that makes the index that finds restored events. */
export const ORDERS_EVENTS = '0017_event_feed'

const STEP = 10_000n

/**
 * Sets the xids of a restored dump's events to 0, so that they stand in the order of their ids, before all later events. All
 * of them, in that order: those below the server's counter would otherwise stand after older ones. So a run that is killed
 * leaves an order that is right already.
 */
export async function forgetRestoredXids(run: Run): Promise<void> {
  const { session, logger, signal } = run
  if (!(await hasRestoredXids(session))) return
  const [first, last] = [await outermostId(session, 'asc'), await outermostId(session, 'desc')]
  logger.warn('events of a restored dump get the transaction id 0', { first_id: first, last_id: last })
  for (let from = first; from <= last; from += STEP) {
    signal.throwIfAborted()
    await retryInTransaction(run, { events_from: from.toString() }, async (tx) => {
      // As `sql`: the types allow no change of an event.
      await sql`
        update payment_events set xid = '0'
        where id >= ${from.toString()} and id < ${(from + STEP).toString()} and xid <> '0'`.execute(tx)
    })
  }
}

async function outermostId(db: Kysely<MigrationTables>, order: 'asc' | 'desc'): Promise<bigint> {
  const row = await db.selectFrom('payment_events').select('id').orderBy('id', order).limit(1).executeTakeFirst()
  return BigInt(row?.id ?? 0)
}

import { type Kysely, sql } from 'kysely'
import type { OutboxTables } from './tables.ts'

const BATCH_MAX = 500

/**
 * Moves messages that are due into their lanes, where their age counts from then on, not from when they were scheduled.
 * Several relays promote at once, and none of them twice.
 *
 * @returns how many it moved
 */
export async function promoteDue<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<number> {
  // An id must not be older than its transaction's xid (floors.ts). Each id is taken for a row that has been deleted, which
  // took the xid; a filter that takes it in any case would cost an xid and WAL at each of five empty polls a second.
  // Materialized is a fence: inlined, the planner may run the locking select more than once.
  const { numAffectedRows } = await sql`
    with due as materialized (
      select id from outbox_scheduled where due_at <= now() order by due_at limit ${BATCH_MAX} for update skip locked
    ),
    moved as (delete from outbox_scheduled where id = any(array(select id from due)) returning *)
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at)
    select lane, message_id, key, topic, payload, headers, mandatory, attempts, due_at from moved
    order by due_at, id`.execute(db)
  return Number(numAffectedRows ?? 0)
}

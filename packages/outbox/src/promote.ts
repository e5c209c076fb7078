import { type Kysely, sql } from 'kysely'
import type { OutboxTables } from './tables.ts'
import type { Oldest, Topics } from './topics.ts'

const BATCH_MAX = 500
/** Of a refused topic: as many messages try whether it is accepted again. */
const TRIED_MAX = 128

/**
 * Moves messages that are due into their lanes. The age of a scheduled one counts from when it was due, the age of one
 * whose topic was refused from when it was appended. Several relays promote at once, and none of them twice.
 *
 * @returns how many it moved
 */
export async function promoteDue<Tables extends OutboxTables>(db: Kysely<Tables>, topics: Topics): Promise<number> {
  // An id must not be older than its transaction's xid (floors.ts). Each id is taken for a row that has been deleted, which
  // took the xid; a filter that takes it in any case would cost an xid and WAL at each of five empty polls a second.
  // Materialized is a fence: inlined, the planner may run the locking select more than once.
  // The last line has the order of the index of refused messages: an EXISTS might walk through all the others.
  const { rows } = await sql<{ moved: number; refused: string | null }>`
    with due as materialized (
      select id from outbox_scheduled where not refused and due_at <= now()
      order by due_at limit ${BATCH_MAX} for update skip locked
    ),
    moved as (delete from outbox_scheduled where id = any(array(select id from due)) returning *),
    placed as (
      insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at)
      select lane, message_id, key, topic, payload, headers, mandatory, attempts, due_at from moved
      order by due_at, id
      returning 1
    )
    select (select count(*)::int from placed) as moved,
      (select topic from outbox_scheduled where refused order by topic collate "C", created_at, id limit 1) as refused`.execute(
    db,
  )
  const [{ moved, refused } = { moved: 0, refused: null }] = rows
  return moved + (await promoteRefused(db, topics, refused === null ? [] : await oldestRefused(db)))
}

async function promoteRefused<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  topics: Topics,
  oldest: readonly Oldest[],
): Promise<number> {
  const tried = topics.toTry(oldest)
  if (tried.length === 0) return 0
  const { numAffectedRows } = await sql`
    with oldest as materialized (
      select s.id from unnest(${tried}::text[]) as tried (topic)
      cross join lateral (
        select id from outbox_scheduled where refused and outbox_scheduled.topic = tried.topic collate "C"
        order by created_at, id limit ${TRIED_MAX} for update skip locked
      ) s
    ),
    moved as (delete from outbox_scheduled where id = any(array(select id from oldest)) returning *)
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at)
    select lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at from moved
    order by created_at, id`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** Of each refused topic, found from topic to topic: there may be a million messages of one. */
async function oldestRefused<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<Oldest[]> {
  const { rows } = await sql<Oldest>`
    with recursive oldest as (
      (select topic, due_at from outbox_scheduled where refused order by topic collate "C", created_at, id limit 1)
      union all
      select next.topic, next.due_at from oldest cross join lateral (
        select topic, due_at from outbox_scheduled where refused and outbox_scheduled.topic > oldest.topic collate "C"
        order by topic collate "C", created_at, id limit 1
      ) next
    )
    select topic, due_at <= clock_timestamp() as due from oldest`.execute(db)
  return rows
}

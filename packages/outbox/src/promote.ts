import { type Kysely, sql } from 'kysely'
import { NOT_PAST_DAMAGE, type PastDamage, pastDamage } from './past-damage.ts'
import { createSpanSearch, nowMicros, type SpanSearch, type SpanSearchOptions, type TimeSpan } from './span-search.ts'
import type { OutboxTables } from './tables.ts'
import type { Oldest, Topics } from './topics.ts'

/** How many scheduled messages are moved at once, unless the caller wants less. */
export const PROMOTED_MAX = 500
/** Of a refused topic: as many messages try whether it is accepted again. */
const TRIED_MAX = 128

/**
 * Moves messages that are due into their lanes. The age of a scheduled one counts from when it was due, the age of one
 * whose topic was refused from when it was appended. Several relays promote at once, and none of them twice. What cannot
 * be read stops no other scheduled message; of refused ones it stops at most its topic, or all where it is their oldest.
 *
 * @param search what is remembered of scheduled messages that cannot be read
 * @param batchMax how many scheduled messages are moved at most
 * @returns how many it moved
 */
export async function promoteDue<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  topics: Topics,
  search: SpanSearch = createSpanSearch(),
  past: PastDamage = NOT_PAST_DAMAGE,
  batchMax: number = PROMOTED_MAX,
): Promise<number> {
  let moved = 0
  const take: SpanSearchOptions['take'] = async (spans, countMax) => {
    const count = await pastDamage(promoteScheduled(db, spans, countMax), past)
    moved += count ?? 0
    return count
  }
  await search.run({ take, now: () => nowMicros(db), batchMax })
  const oldest = await pastDamage(oldestRefused(db), past)
  for (const topic of topics.toTry(oldest ?? [])) moved += (await pastDamage(promoteRefused(db, topic), past)) ?? 0
  return moved
}

async function promoteScheduled<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  spans: readonly TimeSpan[],
  batchMax: number,
): Promise<number> {
  // An id must not be older than its transaction's xid (floors.ts). Each id is taken for a row that has been deleted, which
  // took the xid; a filter that takes it in any case would cost an xid and WAL at each of five empty polls a second.
  // Materialized is a fence: inlined, the planner may run the locking select more than once.
  const { numAffectedRows } = await sql`
    with due as materialized (
      select id from unnest(${spans.map(({ from }) => from)}::float8[], ${spans.map(({ to }) => to)}::float8[])
        as span ("from", "to") cross join lateral (
          select id from outbox_scheduled where not refused and due_at <= now()
            and due_at >= to_timestamp("from" / 1000000) and due_at < to_timestamp("to" / 1000000)
          order by due_at limit ${batchMax} for update skip locked
        ) due
      limit ${batchMax}
    ),
    moved as (delete from outbox_scheduled where id = any(array(select id from due)) returning *)
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at)
    select lane, message_id, key, topic, payload, headers, mandatory, attempts, due_at from moved
    order by due_at, id`.execute(db)
  return Number(numAffectedRows ?? 0)
}

async function promoteRefused<Tables extends OutboxTables>(db: Kysely<Tables>, topic: string): Promise<number> {
  const { numAffectedRows } = await sql`
    with oldest as materialized (
      select id from outbox_scheduled where refused and topic = ${topic} collate "C"
      order by created_at, id limit ${TRIED_MAX} for update skip locked
    ),
    moved as (delete from outbox_scheduled where id = any(array(select id from oldest)) returning *)
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at)
    select lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at from moved
    order by created_at, id`.execute(db)
  return Number(numAffectedRows ?? 0)
}

export interface OldestRefused extends Oldest {
  readonly lane: number
  readonly waitsMs: number
}

/** Of each refused topic, found from topic to topic: there may be a million messages of one. */
export async function oldestRefused<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<OldestRefused[]> {
  const { rows } = await sql<OldestRefused>`
    with recursive oldest as (
      (select topic, lane, due_at, created_at from outbox_scheduled where refused
        order by topic collate "C", created_at, id limit 1)
      union all
      select next.* from oldest cross join lateral (
        select topic, lane, due_at, created_at from outbox_scheduled
        where refused and outbox_scheduled.topic > oldest.topic collate "C"
        order by topic collate "C", created_at, id limit 1
      ) next
    )
    select topic, lane, due_at <= clock_timestamp() as due,
      extract(epoch from clock_timestamp() - created_at)::float8 * 1000 as "waitsMs"
    from oldest`.execute(db)
  return rows
}

import { type Kysely, sql } from 'kysely'
import { LANES } from './message.ts'
import type { OutboxTables } from './tables.ts'

/** Refused messages that have just come back are the oldest of their lane, and not the first. */
const LOOKED_AT = 16

/**
 * How old the oldest message of these topics is that waits to be published, whether in a lane or moved out of the way
 * because its topic is refused; or how long the oldest other scheduled message is past due. In milliseconds; 0 when
 * nothing waits.
 */
export async function outboxLagMs<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  topics: readonly string[],
): Promise<number> {
  // A lane is read in the order of its ids, so its first messages stand for all of it.
  const { rows } = await sql<{ lag_ms: number | null }>`
    select extract(epoch from clock_timestamp() - least(
      (select min(head.created_at) from generate_series(0, ${LANES - 1}::int) as lanes (lane)
        cross join lateral (
          select created_at from outbox_messages m
          where m.lane = lanes.lane::smallint and m.topic = any(${topics}::text[]) order by m.id limit ${LOOKED_AT}
        ) as head),
      (select min(head.created_at) from unnest(${topics}::text[]) as asked (topic)
        cross join lateral (
          select created_at from outbox_scheduled s
          where s.refused and s.topic = asked.topic collate "C" order by s.created_at, s.id limit 1
        ) as head),
      (select due_at from outbox_scheduled where not refused order by due_at limit 1)
    ))::float8 * 1000 as lag_ms`.execute(db)
  return Math.max(0, rows[0]?.lag_ms ?? 0)
}

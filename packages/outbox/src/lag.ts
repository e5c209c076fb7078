import { type Kysely, sql } from 'kysely'
import { LANES } from './message.ts'
import type { OutboxTables } from './tables.ts'

/**
 * How old the oldest message is that waits to be published, or how long the oldest scheduled one is past due, in
 * milliseconds; 0 when nothing waits.
 */
export async function outboxLagMs<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<number> {
  // A lane is read in the order of its ids, so its first message stands for all of it.
  const { rows } = await sql<{ lag_ms: number | null }>`
    select extract(epoch from clock_timestamp() - least(
      (select min(head.created_at) from generate_series(0, ${LANES - 1}::int) as lanes (lane)
        cross join lateral (
          select created_at from outbox_messages m where m.lane = lanes.lane::smallint order by m.id limit 1
        ) as head),
      (select due_at from outbox_scheduled order by due_at limit 1)
    ))::float8 * 1000 as lag_ms`.execute(db)
  return Math.max(0, rows[0]?.lag_ms ?? 0)
}

import { type Expression, type Kysely, sql } from 'kysely'
import { type DamageHandler, FAIL_ON_DAMAGE, skipDamage } from './damage.ts'
import { oldestRefused } from './lag.ts'
import { createSpanSearch, nowMicros, type SpanSearch, type TimeSpan, timeSpans } from './span-search.ts'
import { MESSAGE_COLUMNS, type OutboxTables, outboxOf } from './tables.ts'
import type { Topics } from './topics.ts'

/** Maximum number of scheduled messages moved by one call, unless the caller asks for fewer. */
export const PROMOTED_MAX = 500
/** Messages of a refused topic with which a relay tries whether the broker accepts it again. */
const TRIED_MAX = 128

/**
 * Moves messages that are due into their lanes. The age of a scheduled message counts from when it was due; the age of a
 * refused one, from when it was appended. Several relays may promote at the same time, and no message is moved twice.
 * A scheduled message that cannot be read stops no other one. A refused one that cannot be read stops its topic, and all
 * refused topics if it is the oldest of its own.
 *
 * @param search remembers between calls which scheduled messages cannot be read
 * @param batchMax maximum number of scheduled messages to move
 * @returns how many messages it moved
 */
export async function promoteDue<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  topics: Topics,
  search: SpanSearch = createSpanSearch(),
  damage: DamageHandler = FAIL_ON_DAMAGE,
  batchMax: number = PROMOTED_MAX,
): Promise<number> {
  const own = outboxOf(db)
  let moved = 0
  const take = async (spans: readonly TimeSpan[], countMax: number) => {
    const count = await skipDamage(promoteScheduled(own, spans, countMax), damage)
    moved += count ?? 0
    return count
  }
  await search.run({ take, now: () => nowMicros(db), batchMax })
  const oldest = await skipDamage(oldestRefused(own), damage)
  for (const topic of topics.dueForTry(oldest ?? []))
    moved += (await skipDamage(promoteRefused(own, topic), damage)) ?? 0
  return moved
}

function promoteScheduled(db: Kysely<OutboxTables>, spans: readonly TimeSpan[], batchMax: number): Promise<number> {
  const due = db
    .selectFrom(timeSpans(spans))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_scheduled')
        .select('id')
        .where((own) => own.not('refused'))
        .where('due_at', '<=', (own) => own.fn<Date>('now'))
        .where('due_at', '>=', (own) => own.fn<Date>('to_timestamp', [own('from_micros', '/', own.lit(1_000_000))]))
        .where('due_at', '<', (own) => own.fn<Date>('to_timestamp', [own('to_micros', '/', own.lit(1_000_000))]))
        .orderBy('due_at')
        .limit(batchMax)
        .forUpdate()
        .skipLocked()
        .as('found'),
    )
    .select('id')
    .limit(batchMax)
  return moveToLanes(db, due, 'due_at')
}

function promoteRefused(db: Kysely<OutboxTables>, topic: string): Promise<number> {
  const oldest = db
    .selectFrom('outbox_scheduled')
    .select('id')
    .where((eb) => eb.ref('refused'))
    .where('topic', '=', sql<string>`${topic} collate "C"`) // The builder has COLLATE only in an ORDER BY.
    .orderBy('created_at')
    .orderBy('id')
    .limit(sql.lit(TRIED_MAX))
    .forUpdate()
    .skipLocked()
  return moveToLanes(db, oldest, 'created_at')
}

/** @param time the column from which the age of a message counts */
async function moveToLanes(
  db: Kysely<OutboxTables>,
  messages: Expression<{ id: string }>,
  time: 'due_at' | 'created_at',
): Promise<number> {
  const { numInsertedOrUpdatedRows } = await db
    // Inlined, the locking select may run more than once: materialized is a fence for the planner.
    .with(
      (cte) => cte('locked').materialized(),
      () => messages,
    )
    // Floors need every id of a lane to be taken after its transaction's xid. This delete takes the xid before the insert
    // calls nextval. A call of pg_current_xact_id() would take one, and write WAL, in each of five empty polls a second.
    .with('moved', (own) =>
      own
        .deleteFrom('outbox_scheduled')
        .where('id', '=', sql<string>`any(array(select id from locked))`) // The builder has no ARRAY.
        .returningAll(),
    )
    .insertInto('outbox_messages')
    .columns([...MESSAGE_COLUMNS, 'attempts', 'created_at'])
    .expression((eb) =>
      eb
        .selectFrom('moved')
        .select([...MESSAGE_COLUMNS, 'attempts', time])
        .orderBy(time)
        .orderBy('id'),
    )
    .executeTakeFirstOrThrow()
  return Number(numInsertedOrUpdatedRows)
}

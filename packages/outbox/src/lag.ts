import { type Expression, type Kysely, type QueryCreator, sql } from 'kysely'
import { type DamageHandler, skipDamage } from './damage.ts'
import { type Floors, floorsOf, looked } from './floors.ts'
import { LANES } from './message.ts'
import { type OutboxTables, outboxOf } from './tables.ts'

/** Messages looked at per lane: a refused message that has just come back is the oldest of its lane, but not the first. */
const HEAD_MAX = 16

/**
 * Age of the oldest unpublished message of these topics, in a lane or refused, in milliseconds. If another scheduled
 * message is past due for longer, that time. 0 if there is neither.
 */
export async function outboxLagMs<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  topics: readonly string[],
): Promise<number> {
  const own = outboxOf(db)
  // A lane is read in id order, so its first messages stand for all of it. As `sql`: the builder has no functions as sources,
  // no arrays of a type, and COLLATE only in an ORDER BY.
  const inLanes = own
    .selectFrom(sql<{ lane: number }>`generate_series(0, ${sql.lit(LANES - 1)})`.as<'lanes'>(sql`lanes (lane)`))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select('m.created_at')
        .where((own) => own('m.lane', '=', own.cast<number>('lanes.lane', 'int2')))
        .where('m.topic', '=', sql<string>`any(${topics}::text[])`)
        .orderBy('m.id')
        .limit(sql.lit(HEAD_MAX))
        .as('head'),
    )
    .select((eb) => eb.fn.min('head.created_at').as('oldest'))
  const refused = own
    .selectFrom(sql<{ topic: string }>`unnest(${topics}::text[])`.as<'asked'>(sql`asked (topic)`))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_scheduled as s')
        .select('s.created_at')
        .where((own) => own.ref('s.refused'))
        .where('s.topic', '=', sql<string>`asked.topic collate "C"`)
        .orderBy('s.created_at')
        .orderBy('s.id')
        .limit(sql.lit(1))
        .as('head'),
    )
    .select((eb) => eb.fn.min('head.created_at').as('oldest'))
  const scheduled = own
    .selectFrom('outbox_scheduled')
    .select('due_at')
    .where((eb) => eb.not('refused'))
    .orderBy('due_at')
    .limit(sql.lit(1))
  const age = ageMs(sql`least(${inLanes}, ${refused}, ${scheduled})`).$castTo<number | null>()
  const { lag_ms } = await own.selectNoFrom(age.as('lag_ms')).executeTakeFirstOrThrow()
  return Math.max(0, lag_ms ?? 0)
}

export interface OldestMessage {
  readonly lane: number
  readonly topic: string
  /** Time since it was appended, or since it was due, in milliseconds. */
  readonly waitsMs: number
  /** In its lane; moved out of the lane because the broker refuses its topic; or scheduled and past due. */
  readonly place: 'lane' | 'refused' | 'scheduled'
}

/**
 * Finds the message that has waited longest, of any topic. It reads only the first messages above each floor. If a lane
 * cannot be read, each lane is read by a statement of its own.
 *
 * @returns undefined if there is no message that can be read
 */
export async function oldestMessage<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  damage: DamageHandler,
): Promise<OldestMessage | undefined> {
  const own = outboxOf(db)
  const found = [
    ...(await oldestInLanes(own, floors, damage)),
    ...((await skipDamage(oldestOverdue(own), damage)) ?? []),
    ...((await skipDamage(oldestRefused(own), damage)) ?? []).map((one) => ({ ...one, place: 'refused' as const })),
  ]
  return found.sort((one, other) => other.waitsMs - one.waitsMs)[0]
}

async function oldestInLanes(
  db: Kysely<OutboxTables>,
  floors: Floors,
  damage: DamageHandler,
): Promise<OldestMessage[]> {
  const lanes = Array.from({ length: LANES }, (_, lane) => lane)
  try {
    return await oldestOf(db, floors, lanes)
  } catch (error) {
    if (!damage.isRowsOwn(error)) throw error
  }
  const found: OldestMessage[] = []
  for (const lane of lanes) found.push(...((await skipDamage(oldestOf(db, floors, [lane]), damage, lane)) ?? []))
  return found
}

async function oldestOf(db: Kysely<OutboxTables>, floors: Floors, lanes: readonly number[]): Promise<OldestMessage[]> {
  const above = floorsOf(lanes, floors.view())
  return await db
    .selectFrom(looked(sql.val(above.lanes), sql.val(above.floors)))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select(['m.topic', 'm.created_at'])
        .whereRef('m.lane', '=', 'looked.lane')
        .whereRef('m.id', '>', 'looked.floor')
        .orderBy('m.id')
        .limit(sql.lit(HEAD_MAX))
        .as('head'),
    )
    .select(['looked.lane', 'head.topic', sql.lit('lane' as const).as('place')])
    .select(ageMs(sql.ref('head.created_at')).as('waitsMs'))
    .orderBy('head.created_at')
    .limit(sql.lit(1))
    .execute()
}

/** The scheduled message that is past due the longest, and has not been moved into its lane. */
async function oldestOverdue(db: Kysely<OutboxTables>): Promise<OldestMessage[]> {
  return await db
    .selectFrom('outbox_scheduled')
    .select(['lane', 'topic', sql.lit('scheduled' as const).as('place'), ageMs(sql.ref('due_at')).as('waitsMs')])
    .where((eb) => eb.not('refused'))
    .where('due_at', '<=', (eb) => eb.fn<Date>('now'))
    .orderBy('due_at')
    .limit(sql.lit(1))
    .execute()
}

/** Finds the oldest message of each refused topic. It skips from topic to topic: there may be a million messages of one. */
export async function oldestRefused(db: Kysely<OutboxTables>) {
  const oldest = (own: QueryCreator<OutboxTables>) =>
    own
      .selectFrom('outbox_scheduled as s')
      .select(['s.topic', 's.lane', 's.due_at', 's.created_at'])
      .where((eb) => eb.ref('s.refused'))
      .orderBy('s.topic', (order) => order.collate('C'))
      .orderBy('s.created_at')
      .orderBy('s.id')
      .limit(sql.lit(1))
  return await db
    .withRecursive('oldest(topic, lane, due_at, created_at)', (own) =>
      own
        .selectFrom(oldest(own).as('first'))
        .select(['topic', 'lane', 'due_at', 'created_at'])
        .unionAll(
          own
            .selectFrom('oldest')
            // As `sql`: the builder has COLLATE only in an ORDER BY.
            .crossJoinLateral(oldest(own).where(sql<boolean>`s.topic > oldest.topic collate "C"`).as('next'))
            .select(['next.topic', 'next.lane', 'next.due_at', 'next.created_at']),
        ),
    )
    .selectFrom('oldest')
    .select((eb) => ['topic', 'lane', eb('due_at', '<=', eb.fn<Date>('clock_timestamp')).$castTo<boolean>().as('due')])
    .select(ageMs(sql.ref('created_at')).as('waitsMs'))
    .execute()
}

/** Age of a time in milliseconds, by the clock and not by the start of the transaction. The builder has no EXTRACT. */
export function ageMs(time: Expression<unknown>) {
  return sql<number>`extract(epoch from clock_timestamp() - ${time})::float8 * 1000`
}

import { type Kysely, sql } from 'kysely'
import type { Floors } from './floors.ts'
import { LANES } from './message.ts'
import { type PastDamage, pastDamage } from './past-damage.ts'
import { oldestRefused } from './promote.ts'
import type { OutboxTables } from './tables.ts'

/** Refused messages that have just come back are the oldest of their lane, and not the first. */
const LOOKED_AT = 16

export interface OldestMessage {
  readonly lane: number
  readonly topic: string
  /** Since it was appended, or since it was due, in milliseconds. */
  readonly waitsMs: number
  /** In its lane; moved out of the way because its topic is refused; or scheduled and past due. */
  readonly place: 'lane' | 'refused' | 'scheduled'
}

/**
 * Looks for the message that waits the longest, whatever its topic. Reads no more than the first messages above each
 * floor. Where a lane cannot be read, each lane is looked at alone.
 *
 * @returns undefined when nothing waits that can be read
 */
export async function oldestMessage<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  past: PastDamage,
): Promise<OldestMessage | undefined> {
  const found = [
    ...(await oldestInLanes(db, floors, past)),
    ...((await pastDamage(oldestOverdue(db), past)) ?? []),
    ...((await pastDamage(oldestRefused(db), past)) ?? []).map((one) => ({ ...one, place: 'refused' as const })),
  ]
  return found.sort((one, other) => other.waitsMs - one.waitsMs)[0]
}

async function oldestInLanes<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  past: PastDamage,
): Promise<OldestMessage[]> {
  const lanes = Array.from({ length: LANES }, (_, lane) => lane)
  try {
    return await oldestOf(db, floors, lanes)
  } catch (error) {
    if (!past.isRowsOwn(error)) throw error
  }
  const found: OldestMessage[] = []
  for (const lane of lanes) found.push(...((await pastDamage(oldestOf(db, floors, [lane]), past, lane)) ?? []))
  return found
}

async function oldestOf<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  lanes: readonly number[],
): Promise<OldestMessage[]> {
  const view = floors.view()
  const { rows } = await sql<OldestMessage>`
    select looked.lane, head.topic, 'lane' as place,
      extract(epoch from clock_timestamp() - head.created_at)::float8 * 1000 as "waitsMs"
    from unnest(${lanes}::smallint[], ${lanes.map((lane) => `${view[lane]?.floor ?? 0}`)}::bigint[])
      as looked (lane, floor)
    cross join lateral (
      select topic, created_at from outbox_messages m where m.lane = looked.lane and m.id > looked.floor
      order by m.id limit ${LOOKED_AT}
    ) as head
    order by head.created_at limit 1`.execute(db)
  return rows
}

/** The one that is past due the longest, and still was not moved into its lane. */
async function oldestOverdue<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<OldestMessage[]> {
  const { rows } = await sql<OldestMessage>`
    select lane, topic, 'scheduled' as place, extract(epoch from clock_timestamp() - due_at)::float8 * 1000 as "waitsMs"
    from outbox_scheduled where not refused and due_at <= now() order by due_at limit 1`.execute(db)
  return rows
}

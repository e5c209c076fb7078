import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { FloorsView } from './floors.ts'
import { BODY_BYTES_MAX, LANES, type OutboxMessage } from './message.ts'
import type { OutboxTables } from './tables.ts'
import type { Sparing } from './topics.ts'

export interface ReadMessage extends OutboxMessage {
  readonly lane: number
  /** A bigint, as text. */
  readonly id: string
  /** Of the body, which is empty if they are more than BODY_BYTES_MAX. */
  readonly bytes: number
}

export interface LaneRead {
  messages: ReadMessage[]
  /** The oldest xid still in progress for the statement that read; 0 if it found nothing. */
  xmin: bigint
  /** Whether the size limit may have kept messages back, of whichever lane. */
  cutBySize: boolean
}

/**
 * Locks up to `lanesMax` of the `span` lanes from `start` on that hold messages and that nobody else holds, in the order
 * of the rotation. A lane without messages is not locked: an idle poll takes no xid and writes no WAL.
 */
export async function lockLanes<Tables extends OutboxTables>(
  tx: Kysely<Tables>,
  view: FloorsView,
  { start, span, lanesMax }: { start: number; span: number; lanesMax: number },
): Promise<{ lanes: number[]; xid: bigint }> {
  // Lateral all the way, so that no statistics turn the order round: lane by lane as the rotation has it, the lock after the
  // look, and no further than the limit. An ORDER BY would look for the messages of all lanes before it locks the first.
  const rotation = Array.from({ length: span }, (_, index) => (start + index) % LANES)
  const floors = floorsOf(view)
  const { rows } = await sql<{ lane: number; xid: string }>`
    select held.lane, pg_current_xact_id()::text as xid
    from unnest(${rotation}::smallint[], ${rotation.map((lane) => floors[lane])}::bigint[]) as rotation (lane, floor)
    cross join lateral (
      select m.lane from outbox_messages m where m.lane = rotation.lane and m.id > rotation.floor
      order by m.id limit 1
    ) oldest
    cross join lateral (
      select l.lane from outbox_lanes l where l.lane = oldest.lane for update skip locked
    ) held
    limit ${lanesMax}`.execute(tx)
  return { lanes: rows.map(({ lane }) => lane), xid: BigInt(rows[0]?.xid ?? 0) }
}

/**
 * Whether a message lies at or below a lane's floor, where none can be left. Costs what there is below the floor: as good
 * as nothing, or all dead tuples of the lane that an old snapshot keeps from being vacuumed.
 */
export async function liesBelow<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  lane: number,
  floor: bigint,
): Promise<boolean> {
  const { rows } = await sql`
    select 1 from outbox_messages where lane = ${lane} and id <= ${floor.toString()} limit 1`.execute(db)
  return rows.length > 0
}

interface Row {
  xmin: string
  cut: boolean
  lane: number
  id: string
  message_id: string
  key: string
  topic: string
  body: string | null
  bytes: number
  headers: Record<string, string>
  mandatory: boolean
  attempts: number
  created_at_ms: number
}

/**
 * Reads the oldest messages of each lane in id order; of topics that are to be read sparingly only some, and past them the
 * oldest of others. Has to be a statement after the one that locked: its snapshot is then younger than the locks, and
 * shows all that their last holder has done.
 */
export async function readLanes<Tables extends OutboxTables>(
  tx: Kysely<Tables>,
  lanes: readonly number[],
  view: FloorsView,
  { messagesPerLaneMax, bytesMax }: { messagesPerLaneMax: number; bytesMax: number },
  sparing: Sparing,
): Promise<LaneRead> {
  const isSparing = sparing.topics.length > 0
  const above = sql`outbox_messages.lane = l.lane and id > (${floorsOf(view)}::bigint[])[l.lane + 1]`
  const oldest = isSparing ? oldestSparing(above, messagesPerLaneMax, sparing) : oldestOf(above, messagesPerLaneMax)
  // Spared messages count last towards the size limit, or their bodies would keep the others back. They are published in
  // the order of their ids all the same.
  const order = isSparing ? sql`spared, rank, lane` : sql`rank, lane`
  const published = isSparing ? sql`m.id` : sql`m.rank, m.lane`
  // Lateral, not lane = ANY(…): the primary key then serves each lane in id order, however long the backlog.
  // The size limit goes round the lanes by rank, so that one lane's large messages do not keep the others back. First
  // by what is stored, compressed, which is known without reading it: up to 1,024 large bodies would be hundreds of megabytes.
  // The frames are of rows, as no two have one place; and times are numbers: both cost PostgreSQL and this process less.
  const { rows } = await sql<Row>`
    select (select pg_snapshot_xmin(pg_current_snapshot())::text) as xmin,
      m.stored_through >= ${bytesMax} or m.bytes_through >= ${bytesMax} as cut, m.lane, m.id, m.message_id, m.key,
      m.topic, m.headers, m.mandatory, m.attempts, m.created_at_ms, m.bytes, m.body
    from (
      select *, sum(bytes) over (order by ${order} rows unbounded preceding) as bytes_through
      from (
        select *, octet_length(whole) as bytes,
          case when octet_length(whole) <= ${BODY_BYTES_MAX} then whole end as body
        from (
          select stored.*, payload::text as whole
          from (
            select *, sum(stored_bytes) over (order by ${order} rows unbounded preceding) as stored_through
            from unnest(${lanes}::smallint[]) as l (lane)
            cross join lateral (${oldest}) oldest
          ) stored
          where stored_through - stored_bytes < ${bytesMax}
          offset 0
        ) rendered
      ) measured
    ) m
    where m.bytes_through - m.bytes < ${bytesMax}
    order by ${published}`.execute(tx)
  return {
    messages: rows.map(toMessage),
    xmin: BigInt(rows[0]?.xmin ?? 0),
    cutBySize: rows.some(({ cut }) => cut),
  }
}

const COLUMNS = sql`id, message_id, key, topic, payload, headers, mandatory, attempts,
  date_part('epoch', created_at) * 1000 as created_at_ms, pg_column_size(payload) as stored_bytes`

function oldestOf(above: RawBuilder<unknown>, max: number): RawBuilder<unknown> {
  return sql`
    select ${COLUMNS}, row_number() over (order by id) as rank
    from outbox_messages where ${above} order by id limit ${max}`
}

/**
 * Two walks along the primary key: past all that is spared to the others, of which there may be few; and to what is read
 * of the former, no further than the last of the others.
 */
function oldestSparing(above: RawBuilder<unknown>, max: number, { topics, perLaneMax }: Sparing): RawBuilder<unknown> {
  return sql`
    with others as materialized (
      select *, false as spared from outbox_messages where ${above} and topic <> all(${topics}::text[])
      order by id limit ${max}
    ),
    spared as (
      select *, true as spared from outbox_messages where ${above} and topic = any(${topics}::text[])
        and id <= (select case when count(*) < ${max} then ${ID_MAX}::bigint else max(id) end from others)
      order by id limit ${perLaneMax}
    )
    select ${COLUMNS}, spared, row_number() over (order by spared, id) as rank
    from (select * from (select * from others union all select * from spared) found order by id limit ${max}) chosen`
}

const ID_MAX = '9223372036854775807'

function toMessage(row: Row): ReadMessage {
  return {
    lane: row.lane,
    id: row.id,
    messageId: row.message_id,
    key: row.key,
    topic: row.topic,
    body: row.body ?? '',
    bytes: row.bytes,
    headers: row.headers,
    mandatory: row.mandatory,
    attempts: row.attempts,
    createdAt: new Date(row.created_at_ms),
  }
}

function floorsOf(view: FloorsView): string[] {
  return view.map(({ floor }) => floor.toString())
}

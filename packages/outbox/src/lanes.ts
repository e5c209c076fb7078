import { expressionBuilder, type Kysely, type QueryCreator, sql } from 'kysely'
import { compiledOnce, type ParameterOf } from './compiled-once.ts'
import { type FloorsView, floorsOf, type LaneFloors, looked } from './floors.ts'
import { BODY_BYTES_MAX, LANES, type ReadMessage } from './message.ts'
import type { OutboxTables } from './tables.ts'
import type { TopicQuota } from './topics.ts'

export interface LaneRead {
  messages: ReadMessage[]
  /** The oldest xid still in progress for the statement that read; 0 if it found nothing. */
  xmin: bigint
  /** True if messages of any of the lanes may have been left unread because of the size limit. */
  cutBySize: boolean
}

/**
 * Locks up to `lanesMax` of the `laneCount` lanes from `startLane` on, in the order of the rotation. It takes lanes that
 * hold messages and that no other session has locked. A lane without messages is not locked, so that an idle poll takes
 * no xid and writes no WAL.
 */
export async function lockLanes(
  tx: Kysely<OutboxTables>,
  view: FloorsView,
  { startLane, laneCount, lanesMax }: { startLane: number; laneCount: number; lanesMax: number },
): Promise<{ lanes: number[]; xid: bigint }> {
  const rotation = Array.from({ length: laneCount }, (_, index) => (startLane + index) % LANES)
  const rows = await LOCK(tx, { ...floorsOf(rotation, view), lanesMax })
  return { lanes: rows.map(({ lane }) => lane), xid: BigInt(rows[0]?.xid ?? 0) }
}

const LOCK = compiledOnce((tx: Kysely<OutboxTables>, parameter: ParameterOf<LaneFloors & { lanesMax: number }>) =>
  // An ORDER BY would look for messages in all lanes before it locks the first one, and a join's order follows the
  // planner's statistics. Lateral joins keep the rotation's order: look, lock, next lane, and stop at the limit.
  tx
    .selectFrom(looked(parameter('lanes'), parameter('floors')))
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select('m.lane')
        .whereRef('m.lane', '=', 'looked.lane')
        .whereRef('m.id', '>', 'looked.floor')
        .orderBy('m.id')
        .limit(sql.lit(1))
        .as('oldest'),
    )
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_lanes as l')
        .select('l.lane')
        .whereRef('l.lane', '=', 'oldest.lane')
        .forUpdate()
        .skipLocked()
        .as('held'),
    )
    .select((eb) => ['held.lane', eb.cast<string>(eb.fn('pg_current_xact_id'), 'text').as('xid')])
    .limit(parameter('lanesMax')),
)

/**
 * Reads the oldest messages of each lane in id order. Of topics with a quota it reads only some, and after them the
 * oldest of other topics. It has to be a statement after the one that locked. Its snapshot is then younger than the
 * locks, and shows everything that the previous holder of the lanes has done.
 */
export async function readLanes(
  tx: Kysely<OutboxTables>,
  lanes: readonly number[],
  view: FloorsView,
  { messagesPerLaneMax, bytesMax }: { messagesPerLaneMax: number; bytesMax: number },
  quota: TopicQuota,
): Promise<LaneRead> {
  const values = { ...floorsOf(lanes, view), ...quota, messagesPerLaneMax, bytesMax }
  const rows = await (quota.topics.length > 0 ? READ_WITHIN_QUOTA : READ)(tx, values)
  return {
    messages: rows.map(
      (row): ReadMessage => ({
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
      }),
    ),
    xmin: BigInt(rows[0]?.xmin ?? 0),
    cutBySize: rows.some(({ cut }) => cut),
  }
}

interface ReadValues extends LaneFloors, TopicQuota {
  messagesPerLaneMax: number
  bytesMax: number
}

const read = (isLimited: boolean) =>
  compiledOnce((tx: Kysely<OutboxTables>, parameter: ParameterOf<ReadValues>) => selectOldest(tx, parameter, isLimited))

function selectOldest(tx: Kysely<OutboxTables>, parameter: ParameterOf<ReadValues>, isLimited: boolean) {
  const bytesMax = parameter('bytesMax')
  const oldest = (isLimited ? oldestWithin : oldestOf)(tx, parameter)
  // The size limit goes round the lanes by rank, so that large messages of one lane do not keep back the others. Messages
  // of limited topics come last, so that their bodies do not keep back other topics. The builder knows no window frame.
  // It is one of rows, not of ranges: no two messages share a place, and rows cost PostgreSQL less.
  const order = isLimited ? sql`limited, rank, lane` : sql`rank, lane`
  // 1,024 large bodies would be hundreds of megabytes. So the limit is first applied to the stored, compressed size, which
  // PostgreSQL knows without reading the body. The offset keeps the planner from rendering any body before that.
  const stored = tx
    .selectFrom(looked(parameter('lanes'), parameter('floors')))
    .crossJoinLateral(oldest.as('oldest'))
    .selectAll()
    .select(sql<number>`sum(stored_bytes) over (order by ${order} rows unbounded preceding)`.as('stored_through'))
  const rendered = tx
    .selectFrom(stored.as('stored'))
    .selectAll()
    .select((eb) => eb.cast<string>('payload', 'text').as('whole'))
    .where((eb) => eb(eb('stored_through', '-', eb.ref('stored_bytes')), '<', bytesMax))
    .offset(sql.lit(0))
  const measured = tx
    .selectFrom(rendered.as('rendered'))
    .selectAll()
    .select((eb) => [
      eb.fn<number>('octet_length', ['whole']).as('bytes'),
      // As `sql`: the builder's CASE and windows read worse.
      sql<string | null>`case when octet_length("whole") <= ${BODY_BYTES_MAX} then "whole" end`.as('body'),
      sql<number>`sum(octet_length(whole)) over (order by ${order} rows unbounded preceding)`.as('bytes_through'),
    ])
  return (
    tx
      .selectFrom(measured.as('m'))
      .select(['lane', 'id', 'message_id', 'key', 'topic', 'body', 'bytes', 'headers', 'mandatory', 'attempts'])
      .select((eb) => [
        'created_at_ms',
        // As `sql`: a subquery without a table, which PostgreSQL evaluates once.
        sql<string>`(select pg_snapshot_xmin(pg_current_snapshot())::text)`.as('xmin'),
        eb('stored_through', '>=', bytesMax).or('bytes_through', '>=', bytesMax).$castTo<boolean>().as('cut'),
      ])
      .where((eb) => eb(eb('bytes_through', '-', eb.ref('bytes')), '<', bytesMax))
      // Limited topics are published in the order of their ids all the same.
      .orderBy(isLimited ? sql.ref('id') : order)
  )
}

const eb = expressionBuilder<OutboxTables, 'outbox_messages'>()
const READ_COLUMNS = [
  'id',
  'message_id',
  'key',
  'topic',
  'payload',
  'headers',
  'mandatory',
  'attempts',
  // A number: a timestamp costs PostgreSQL and this process more to render and to parse.
  eb(eb.fn<number>('date_part', [sql.lit('epoch'), 'created_at']), '*', eb.lit(1000)).as('created_at_ms'),
  eb.fn<number>('pg_column_size', ['payload']).as('stored_bytes'),
] as const

/**
 * Messages of the lane that the statement looks at, above its floor.
 * Lateral, not lane = ANY(…): the primary key then serves each lane in id order, however long the backlog.
 */
function aboveFloor(db: QueryCreator<OutboxTables>) {
  return db
    .selectFrom('outbox_messages')
    .where('lane', '=', sql.ref<number>('looked.lane'))
    .where('id', '>', sql.ref<string>('looked.floor'))
}

// The ranks are `sql`, in which a window is shorter.
function oldestOf(db: QueryCreator<OutboxTables>, parameter: ParameterOf<ReadValues>) {
  return aboveFloor(db)
    .select(READ_COLUMNS)
    .select([sql.lit(false).as('limited'), sql<number>`row_number() over(order by "id")`.as('rank')])
    .orderBy('id')
    .limit(parameter('messagesPerLaneMax'))
}

const ID_MAX = '9223372036854775807'

/**
 * Walks the primary key twice. The first walk goes past all messages of limited topics to the others, of which there may
 * be few. The second one reads limited messages up to the quota, no further than the last of the others. As `sql`: the
 * builder has no arrays of a type.
 */
function oldestWithin(db: QueryCreator<OutboxTables>, parameter: ParameterOf<ReadValues>) {
  const max = parameter('messagesPerLaneMax')
  const topics = parameter('topics')
  return db
    .with(
      (cte) => cte('others').materialized(),
      (own) =>
        aboveFloor(own)
          .selectAll()
          .select(sql.lit(false).as('limited'))
          .where('topic', '<>', sql<string>`all(${topics}::text[])`)
          .orderBy('id')
          .limit(max),
    )
    .with('few', (own) =>
      aboveFloor(own)
        .selectAll()
        .select(sql.lit(true).as('limited'))
        .where('topic', '=', sql<string>`any(${topics}::text[])`)
        .where(
          'id',
          '<=',
          sql<string>`(select case when count(*) < ${max} then ${ID_MAX}::bigint else max(id) end from others)`,
        )
        .orderBy('id')
        .limit(parameter('perLaneMax')),
    )
    .selectFrom((eb) =>
      eb
        .selectFrom(eb.selectFrom('others').selectAll().unionAll(eb.selectFrom('few').selectAll()).as('found'))
        .selectAll()
        .orderBy('id')
        .limit(max)
        .as('chosen'),
    )
    .select(READ_COLUMNS)
    .select(['limited', sql<number>`row_number() over(order by "limited", "id")`.as('rank')])
}

const READ = read(false)
const READ_WITHIN_QUOTA = read(true)

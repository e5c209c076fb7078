import { type Kysely, sql } from 'kysely'
import { ageMs, oldestRefused } from './lag.ts'
import { LANES } from './message.ts'
import { type OutboxTables, outboxOf } from './tables.ts'

/** Counts are exact up to this number. */
export const COUNTED_MAX = 10_000
/** Messages of each lane that stand for its topics when not all are counted. */
const HEAD_MAX = 32

/** The messages of a topic that could be published now: in a lane, scheduled and due, or refused. */
export interface TopicBacklog {
  readonly topic: string
  /** At most 10,000. */
  readonly messages: number
  /** True if there may be more. */
  readonly capped: boolean
  /** Age of the oldest message that was read. A scheduled one counts from when it was due. */
  readonly oldestMs: number
}

/**
 * Returns the backlog of each topic that has one. It reads a bounded number of rows, however long the backlog is.
 * If the lanes hold more than 10,000 messages, 10,000 are divided among the topics as the first 32 messages of each lane are.
 */
export async function outboxBacklog<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<TopicBacklog[]> {
  const own = outboxOf(db)
  const isCut = (await countInLanes(own)) > COUNTED_MAX
  const heads = await readLanes(own, isCut ? HEAD_MAX : COUNTED_MAX)
  const read = sum(heads)
  const lanes = isCut
    ? heads.map((head) => ({ ...head, messages: Math.round((COUNTED_MAX * head.messages) / read) }))
    : heads
  const refused = await readRefused(own)
  return byTopic([...lanes, ...(await readDue(own)), ...refused], isCut || sum(refused) > COUNTED_MAX)
}

interface Part {
  readonly topic: string
  readonly messages: number
  readonly oldest_ms: number
}

const sum = (parts: readonly Part[]) => parts.reduce((total, { messages }) => total + messages, 0)

/** @param isCut whether messages of any topic may not have been counted */
function byTopic(parts: readonly Part[], isCut: boolean): TopicBacklog[] {
  return [...Map.groupBy(parts, ({ topic }) => topic)].map(([topic, own]) => ({
    topic,
    messages: Math.min(sum(own), COUNTED_MAX),
    capped: isCut || sum(own) > COUNTED_MAX,
    oldestMs: Math.max(0, ...own.map(({ oldest_ms }) => oldest_ms)),
  }))
}

// As `sql` in this file: the builder has no functions as sources. Limits are parameters: a session
// keeps the plan of a statement that has parameters.
const lanes = sql<{ lane: number }>`generate_series(0, ${sql.lit(LANES - 1)})`.as<'lanes'>(sql`lanes (lane)`)
const count = sql<number>`count(*)::int`
const oldestOf = (column: string) => ageMs(sql`min(${sql.ref(column)})`).as('oldest_ms')

/** The lanes' messages, up to one more than are counted. It reads the primary key only, where the table was vacuumed. */
async function countInLanes(db: Kysely<OutboxTables>): Promise<number> {
  const found = db
    .selectFrom(lanes)
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select('m.lane')
        .where((own) => own('m.lane', '=', own.cast<number>('lanes.lane', 'int2')))
        .orderBy('m.id')
        .limit(COUNTED_MAX + 1)
        .as('found'),
    )
    .select('found.lane')
    .limit(COUNTED_MAX + 1)
  return (await db.selectFrom(found.as('found')).select(count.as('messages')).executeTakeFirstOrThrow()).messages
}

/** The oldest messages of each lane, by topic. */
async function readLanes(db: Kysely<OutboxTables>, perLaneMax: number): Promise<Part[]> {
  return await db
    .selectFrom(lanes)
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select(['m.topic', 'm.created_at'])
        .where((own) => own('m.lane', '=', own.cast<number>('lanes.lane', 'int2')))
        .orderBy('m.id')
        .limit(perLaneMax)
        .as('found'),
    )
    .select(['found.topic', count.as('messages'), oldestOf('found.created_at')])
    .groupBy('found.topic')
    .execute()
}

/** The scheduled messages that are due, by topic. */
async function readDue(db: Kysely<OutboxTables>): Promise<Part[]> {
  const due = db
    .selectFrom('outbox_scheduled')
    .select(['topic', 'due_at'])
    .where((eb) => eb.not('refused'))
    .where('due_at', '<=', (eb) => eb.fn<Date>('now'))
    .orderBy('due_at')
    .limit(COUNTED_MAX + 1)
  return await db
    .selectFrom(due.as('found'))
    .select(['found.topic', count.as('messages'), oldestOf('found.due_at')])
    .groupBy('found.topic')
    .execute()
}

/**
 * The refused messages by topic, due or not. In the order of their index, so the first one of a topic is its oldest. If there
 * are more than are counted, each topic that was not reached counts as one message.
 */
async function readRefused(db: Kysely<OutboxTables>): Promise<Part[]> {
  const refused = db
    .selectFrom('outbox_scheduled')
    .select(['topic', 'created_at'])
    .where((eb) => eb.ref('refused'))
    .orderBy('topic', (order) => order.collate('C'))
    .orderBy('created_at')
    .orderBy('id')
    .limit(COUNTED_MAX + 1)
  const counted = await db
    .selectFrom(refused.as('found'))
    .select(['found.topic', count.as('messages'), oldestOf('found.created_at')])
    .groupBy('found.topic')
    .execute()
  if (sum(counted) <= COUNTED_MAX) return counted
  const reached = new Set(counted.map(({ topic }) => topic))
  const others = (await oldestRefused(db)).filter(({ topic }) => !reached.has(topic))
  return [...counted, ...others.map(({ topic, waitsMs }) => ({ topic, messages: 1, oldest_ms: waitsMs }))]
}

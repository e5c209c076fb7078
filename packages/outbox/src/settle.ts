import { fullJitterMs } from '@cashflow/async'
import { type Expression, type Kysely, type QueryCreator, type RawBuilder, sql } from 'kysely'
import { compiledOnce, type ParameterOf } from './compiled-once.ts'
import type { OutboxMessage, ReadMessage } from './message.ts'
import type { PublishOutcome } from './publisher.ts'
import { MESSAGE_COLUMNS, type OutboxTables } from './tables.ts'

export type Action =
  | { action: 'delete' }
  /** The message stays in its lane, and its attempts are not counted. */
  | { action: 'leave'; reason: 'refused' | 'unanswered' }
  /** The attempt is counted. The message is published again later, out of its order. */
  | { action: 'delay'; delayMs: number }
  /** The broker refuses the topic. The attempt is not counted, and messages of other topics go ahead. */
  | { action: 'move'; delayMs: number }
  | { action: 'bury'; reason: string }

export interface MessageDisposition {
  message: ReadMessage
  action: Action
}

/** Number of returns as unroutable after which a message becomes a dead letter: half an hour on average. */
const ATTEMPTS_MAX = 20

const DELAY_FIRST_MS = 1_000
const DELAY_MAX_MS = 300_000
/** Delay of a message that cannot become a dead letter yet. */
const BLOCKED_MS = 300_000

/**
 * Decides what the outbox does with a message. Only an outcome that the message itself caused counts as an attempt.
 *
 * @param moveMs how long nacked messages of this topic leave their lane; undefined if they stay
 */
export function decide(
  message: OutboxMessage,
  outcome: PublishOutcome,
  moveMs: number | undefined,
  random = Math.random,
): Action {
  switch (outcome.status) {
    case 'confirmed':
      return { action: 'delete' }
    case 'nacked':
      // A full queue says nothing about the message, nor about other topics. A full broker refuses all topics.
      return moveMs === undefined ? { action: 'leave', reason: 'refused' } : { action: 'move', delayMs: moveMs }
    case 'unknown':
      // The broker may have the message, and gets it again: consumers recognise duplicates by their id.
      return { action: 'leave', reason: 'unanswered' }
    case 'returned': {
      // Unroutable now may be a binding declared a second later.
      const attempts = message.attempts + 1
      if (attempts >= ATTEMPTS_MAX) return { action: 'bury', reason: outcome.reason }
      return { action: 'delay', delayMs: retryDelayMs(attempts, random) }
    }
    case 'rejected':
    case 'oversized':
      // The broker would refuse it each time, and each attempt would cost the messages next to it their channel.
      return { action: 'bury', reason: outcome.reason }
    default:
      return outcome satisfies never
  }
}

/** Delay before the next attempt, in milliseconds: full jitter between 0 and 1 s · 2^(attempts − 1), at most 5 minutes. */
export function retryDelayMs(attempts: number, random = Math.random): number {
  return Math.round(fullJitterMs(attempts, { baseMs: DELAY_FIRST_MS, capMs: DELAY_MAX_MS, random }))
}

/** Carries out the actions within the pass's transaction, which is fenced by the locks of its lanes. */
export async function settle(tx: Kysely<OutboxTables>, dispositions: readonly MessageDisposition[]): Promise<void> {
  const confirmed: ReadMessage[] = []
  const refused: { message: ReadMessage; delayMs: number }[] = []
  for (const { message, action } of dispositions) {
    if (action.action === 'delete') confirmed.push(message)
    else if (action.action === 'move') refused.push({ message, delayMs: action.delayMs })
    else if (action.action === 'delay') await delay(tx, message, action.delayMs)
    else if (action.action === 'bury') await bury(tx, message, action.reason)
    else action.action satisfies 'leave'
  }
  if (confirmed.length > 0) await DELETE(tx, keysOf(confirmed))
  if (refused.length > 0) await move(tx, refused)
}

/** One statement for all messages: its text, by which it is prepared, does not depend on their number. */
function deletion(
  db: QueryCreator<OutboxTables>,
  lanes: Expression<readonly number[]>,
  ids: Expression<readonly string[]>,
) {
  // A plan may be made for an empty table and kept when there are a million rows, and a join would then scan them all.
  // Lateral, with an offset, finds each row by its key. No other session changes rows of a locked lane, so they stay
  // at their ctid, which is no column for the builder. It has no arrays of a type either.
  const found = db
    .selectFrom(
      sql<{ lane: number; id: string }>`unnest(${lanes}::smallint[], ${ids}::bigint[])`.as<'done'>(
        sql`done (lane, id)`,
      ),
    )
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('outbox_messages as m')
        .select(sql`m.ctid`.as('ctid'))
        .whereRef('m.lane', '=', 'done.lane')
        .whereRef('m.id', '=', 'done.id')
        .offset(sql.lit(0))
        .as('found'),
    )
    .select('found.ctid')
  return db.deleteFrom('outbox_messages').where(sql`ctid`, '=', sql`any(array${found})`)
}

/** The primary keys of messages, as values of `deletion`. */
function keysOf(messages: readonly ReadMessage[]) {
  return { lanes: messages.map(({ lane }) => lane), ids: messages.map(({ id }) => id) }
}

const DELETE = compiledOnce((tx: Kysely<OutboxTables>, parameter: ParameterOf<ReturnType<typeof keysOf>>) =>
  deletion(tx, parameter('lanes'), parameter('ids')),
)

// As `sql`: the rows come from the table, or from a `with` that has deleted them.
const ATTEMPTS_COUNTED = sql`attempts + 1`

/** Both lists of an insert that copies messages. Kysely checks names, but not that both lists have one order. */
function copyWith<Name extends string>(values: Readonly<Record<Name, RawBuilder<unknown>>>) {
  const added = Object.keys(values) as Name[]
  const copied = [...MESSAGE_COLUMNS, 'created_at'] as const
  return { columns: [...copied, ...added], selection: [...copied, ...added.map((name) => values[name].as(name))] }
}

/** Delays a message, and counts the attempt. */
async function delay(tx: Kysely<OutboxTables>, message: ReadMessage, delayMs: number) {
  await schedule(tx, [message], { refused: false, delayMs: sql.val(delayMs) })
}

/** Moves messages of refused topics, by one statement: one for each message would take longer than a pass has. */
async function move(tx: Kysely<OutboxTables>, refused: readonly { message: ReadMessage; delayMs: number }[]) {
  const delays = new Map(refused.map(({ message, delayMs }) => [message.topic, delayMs]))
  // As `sql`: the builder has no arrays of a type.
  const delayMs = sql`(${[...delays.values()]}::float8[])[array_position(${[...delays.keys()]}::text[], topic)]`
  const messages = refused.map(({ message }) => message)
  await schedule(tx, messages, { refused: true, delayMs })
}

/** @param refused true if the attempts of the messages are not counted */
async function schedule(
  tx: Kysely<OutboxTables>,
  messages: readonly ReadMessage[],
  { refused, delayMs }: { refused: boolean; delayMs: Expression<unknown> },
) {
  const { lanes, ids } = keysOf(messages)
  const { columns, selection } = copyWith({
    attempts: refused ? sql.ref('attempts') : ATTEMPTS_COUNTED,
    refused: sql.lit(refused),
    due_at: sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`, // The builder has no intervals.
  })
  await tx
    .with('moved', (db) => deletion(db, sql.val(lanes), sql.val(ids)).returningAll())
    .insertInto('outbox_scheduled')
    .columns(columns)
    .expression((eb) => eb.selectFrom('moved').select(selection).orderBy('created_at').orderBy('id'))
    .execute()
}

async function bury(tx: Kysely<OutboxTables>, message: ReadMessage, reason: string) {
  const { lane, id } = message
  const values = { attempts: ATTEMPTS_COUNTED, source: sql.lit('outbox'), reason: sql.val(reason) }
  const { columns, selection } = copyWith(values)
  const { numDeletedRows } = await tx
    .with('buried', (db) =>
      db
        .insertInto('dead_letters')
        .columns(columns)
        .expression((eb) =>
          eb.selectFrom('outbox_messages').select(selection).where('lane', '=', lane).where('id', '=', id),
        )
        .onConflict((conflict) => conflict.doNothing())
        .returning('id'),
    )
    .deleteFrom('outbox_messages')
    .where('lane', '=', lane)
    .where('id', '=', id)
    .where((eb) => eb.exists(eb.selectFrom('buried').select('id')))
    .executeTakeFirstOrThrow()
  // An unresolved dead letter has the same topic and key. This message waits until an operator resolves that one.
  if (numDeletedRows === 0n) await delay(tx, message, BLOCKED_MS)
}

import { type Kysely, type SqlBool, sql, type Transaction } from 'kysely'
import { laneOf, type NewMessage } from './message.ts'
import { MESSAGE_COLUMNS, type OutboxTables, outboxOf } from './tables.ts'

export interface DeadLetter extends NewMessage {
  /** The component that gave up, such as `worker`. */
  source: string
  reason: string
  attempts: number
}

/**
 * Stores a dead letter for an operator. An unresolved dead letter with the same source, topic and key is kept instead.
 *
 * @returns false if there is one already
 */
export async function buryMessage<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { messageId, key, topic, payload, headers = {}, mandatory = true, source, reason, attempts }: DeadLetter,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await outboxOf(tx)
    .insertInto('dead_letters')
    .values({
      lane: laneOf(key),
      message_id: messageId,
      key,
      topic,
      payload: JSON.stringify(payload),
      headers: JSON.stringify(headers),
      mandatory,
      source,
      reason,
      attempts,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows === 1n) return true
  // The other dead letter may not have reached the synchronous standby, and a COMMIT that wrote nothing does not wait for
  // it. A message in the WAL makes it wait.
  await tx.selectNoFrom(sql`pg_logical_emit_message(true, 'outbox', '')`.as('mark')).execute()
  return false
}

const STORED = [
  'id',
  'source',
  'topic',
  'key',
  'payload',
  'attempts',
  'reason',
  'died_at as diedAt',
  'resolution',
] as const

/** The unresolved dead letters, oldest first. */
export async function listDeadLetters<Tables extends OutboxTables>(db: Kysely<Tables>, { limit }: { limit: number }) {
  return await outboxOf(db)
    .selectFrom('dead_letters')
    .select(STORED)
    .where('resolved_at', 'is', null)
    .orderBy('id')
    .limit(limit)
    .execute()
}

export async function findDeadLetter<Tables extends OutboxTables>(db: Kysely<Tables>, id: string) {
  return await outboxOf(db).selectFrom('dead_letters').select(STORED).where('id', '=', id).executeTakeFirst()
}

/** @returns false if it is resolved already */
export async function resolveDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  id: string,
  resolution: string,
): Promise<boolean> {
  const { numUpdatedRows } = await resolveWith(tx, resolution).where('id', '=', id).executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

/** Returns whether an unresolved dead letter of a source is about a key, with any topic. */
export async function hasDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { source, key }: { source: string; key: string },
): Promise<boolean> {
  const row = await outboxOf(tx)
    .selectFrom('dead_letters')
    .select('id')
    .where('resolved_at', 'is', null)
    .where(isOf('source', source))
    .where(isOf('key', key))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Resolves the dead letters of a source about a key, of any topic. */
export async function resolveDeadLettersOf<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { source, key }: { source: string; key: string },
  resolution: string,
): Promise<void> {
  await resolveWith(tx, resolution).where(isOf('source', source)).where(isOf('key', key)).execute()
}

/**
 * The index of unresolved dead letters orders text by its bytes, not by the database's collation. As `sql`: the builder has
 * COLLATE only in an ORDER BY.
 */
function isOf(column: 'source' | 'key', value: string) {
  return sql<SqlBool>`${sql.ref(column)} = ${value} collate "C"`
}

function resolveWith<Tables extends OutboxTables>(tx: Transaction<Tables>, resolution: string) {
  return outboxOf(tx)
    .updateTable('dead_letters')
    .set((eb) => ({ resolved_at: eb.fn<Date>('now'), resolution }))
    .where('resolved_at', 'is', null)
}

/** Appends the message of a dead letter to the outbox again, with its own message id, and resolves the dead letter. */
export async function requeueDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  id: string,
  resolution: string,
): Promise<boolean> {
  // Floors need the transaction's xid to be older than the message's id. This update takes it before the insert does.
  if (!(await resolveDeadLetter(tx, id, resolution))) return false
  await outboxOf(tx)
    .insertInto('outbox_messages')
    .columns(MESSAGE_COLUMNS)
    .expression((eb) => eb.selectFrom('dead_letters').select(MESSAGE_COLUMNS).where('id', '=', id))
    .execute()
  return true
}

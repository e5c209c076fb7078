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
    .values((eb) => ({
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
      // Not the time of the transaction: the attempt that it died of is written earlier in it, with its own time.
      died_at: eb.fn<Date>('clock_timestamp'),
    }))
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

/** A dead letter as it is stored, with its resolution. */
export type StoredDeadLetter = NonNullable<Awaited<ReturnType<typeof findDeadLetter>>>

/** Which dead letters. Those that fulfil all conditions. */
export interface DeadLetterFilter {
  readonly source?: string | undefined
  readonly topic?: string | undefined
  /** Text that the reason contains. */
  readonly reason?: string | undefined
  /** Minimum time since the message died, in milliseconds. */
  readonly ageMinMs?: number | undefined
  /** Only ids above `after`, up to `to`. */
  readonly ids?: { readonly after: bigint; readonly to: bigint } | undefined
  readonly limit: number
}

/** The unresolved dead letters, oldest first. */
export async function listDeadLetters<Tables extends OutboxTables>(db: Kysely<Tables>, filter: DeadLetterFilter) {
  return await filtered(db, filter).select(STORED).execute()
}

/** The ids of unresolved dead letters, oldest first. */
export async function listDeadLetterIds<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  filter: DeadLetterFilter,
): Promise<string[]> {
  return (await filtered(db, filter).select('id').execute()).map(({ id }) => id)
}

function filtered<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  { source, topic, reason, ageMinMs, ids, limit }: DeadLetterFilter,
) {
  // As `sql`: the builder has no intervals, and `strpos` reads better so. No letter of LIKE has a meaning in `strpos`.
  return outboxOf(db)
    .selectFrom('dead_letters')
    .where('resolved_at', 'is', null)
    .$if(source !== undefined, (letters) => letters.where(isOf('source', source ?? '')))
    .$if(topic !== undefined, (letters) => letters.where(isOf('topic', topic ?? '')))
    .$if(reason !== undefined, (letters) => letters.where(sql<SqlBool>`strpos(reason, ${reason}) > 0`))
    .$if(ageMinMs !== undefined, (letters) =>
      letters.where(sql<SqlBool>`died_at <= now() - ${ageMinMs} * interval '1 millisecond'`),
    )
    .$if(ids !== undefined, (letters) =>
      letters.where('id', '>', String(ids?.after)).where('id', '<=', String(ids?.to)),
    )
    .orderBy('id')
    .limit(limit)
}

/** Counts the unresolved dead letters by their source. It reads at most `limit` of them. */
export async function countDeadLetters<Tables extends OutboxTables>(db: Kysely<Tables>, { limit }: { limit: number }) {
  const own = outboxOf(db)
  const read = own
    .selectFrom('dead_letters')
    .select('source')
    .where('resolved_at', 'is', null)
    .orderBy('source', (order) => order.collate('C'))
    .limit(limit)
  return await own
    .selectFrom(read.as('letter'))
    .select(['letter.source', sql<number>`count(*)::int`.as('letters')])
    .groupBy('letter.source')
    .execute()
}

/** @param forUpdate whether to lock it, for a transaction that may resolve it */
export async function findDeadLetter<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  id: string,
  { forUpdate = false } = {},
) {
  return await outboxOf(db)
    .selectFrom('dead_letters')
    .select([...STORED, 'message_id as messageId', 'headers', 'created_at as createdAt', 'resolved_at as resolvedAt'])
    .where('id', '=', id)
    .$if(forUpdate, (letter) => letter.forUpdate())
    .executeTakeFirst()
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

/** Returns the id of an unresolved dead letter of a source about a key, with any topic. */
export async function findUnresolvedDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { source, key }: { source: string; key: string },
): Promise<string | undefined> {
  const row = await outboxOf(tx)
    .selectFrom('dead_letters')
    .select('id')
    .where('resolved_at', 'is', null)
    .where(isOf('source', source))
    .where(isOf('key', key))
    .limit(1)
    .executeTakeFirst()
  return row?.id
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
function isOf(column: 'source' | 'topic' | 'key', value: string) {
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

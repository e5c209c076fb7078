import { type Kysely, sql } from 'kysely'
import { laneOf } from './message.ts'
import { type OutboxTables, outboxOf } from './tables.ts'

/** A message that no broker has confirmed yet. */
export interface UnpublishedMessage {
  readonly messageId: string
  readonly topic: string
  readonly attempts: number
  readonly createdAt: Date
  /** Null for a message in its lane. */
  readonly dueAt: Date | null
  /** True if the broker refused the message's topic. */
  readonly refused: boolean
}

const MESSAGE = ['message_id as messageId', 'topic', 'attempts', 'created_at as createdAt'] as const

/**
 * Finds the unpublished messages of a key, the oldest first. No index has the key, so it reads a whole lane, and all
 * scheduled messages.
 */
export async function findMessages<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  key: string,
): Promise<UnpublishedMessage[]> {
  const own = outboxOf(db)
  const inLane = own
    .selectFrom('outbox_messages')
    .select([...MESSAGE, sql<Date | null>`null::timestamptz`.as('dueAt'), sql.lit(false).as('refused')])
    .where('lane', '=', laneOf(key))
    .where('key', '=', key)
  const scheduled = own
    .selectFrom('outbox_scheduled')
    .select([...MESSAGE, sql.ref<Date | null>('due_at').as('dueAt'), sql.ref<boolean>('refused').as('refused')])
    .where('key', '=', key)
  return await inLane.unionAll(scheduled).orderBy('createdAt').execute()
}

/** Finds the dead letters of a key, resolved ones too, in the order of their deaths. It reads the whole table. */
export async function findDeadLettersOf<Tables extends OutboxTables>(db: Kysely<Tables>, key: string) {
  return await outboxOf(db)
    .selectFrom('dead_letters')
    .select(['id', 'source', 'topic', 'reason', 'attempts'])
    .select(['died_at as diedAt', 'resolved_at as resolvedAt', 'resolution'])
    .where('key', '=', key)
    .orderBy('id')
    .execute()
}

import type { ColumnType, Generated, Kysely } from 'kysely'

interface MessageColumns {
  lane: number
  /** A bigint, as text. */
  id: ColumnType<string, never, never>
  message_id: string
  key: string
  topic: string
  payload: ColumnType<unknown, string, never>
  headers: ColumnType<Record<string, string>, string, never>
  mandatory: Generated<boolean>
  attempts: Generated<number>
  created_at: Generated<Date>
}

export interface OutboxScheduledTable extends MessageColumns {
  due_at: Date
  /** True if the broker refused the message's topic, and the message was moved out of the way of other topics. */
  refused: Generated<boolean>
}

export interface DeadLettersTable extends MessageColumns {
  source: string
  reason: string
  died_at: Generated<Date>
  resolved_at: Date | null
  resolution: string | null
}

/** The tables that the outbox needs; a user's own Kysely database extends it. */
export interface OutboxTables {
  outbox_lanes: { lane: number }
  outbox_messages: MessageColumns
  outbox_scheduled: OutboxScheduledTable
  dead_letters: DeadLettersTable
}

/**
 * The user's database, seen as the outbox's. The builder cannot check names against the tables of a type parameter, and
 * these tables are among the user's.
 */
export function outboxOf<Tables extends OutboxTables>(db: Kysely<Tables>): Kysely<OutboxTables> {
  return db as unknown as Kysely<OutboxTables>
}

/** The columns of a message that move with it from table to table. */
export const MESSAGE_COLUMNS = ['lane', 'message_id', 'key', 'topic', 'payload', 'headers', 'mandatory'] as const

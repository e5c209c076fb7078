import type { ColumnType, Generated } from 'kysely'

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

export interface OutboxMessagesTable extends MessageColumns {}

export interface OutboxScheduledTable extends MessageColumns {
  due_at: Date
  /** Moved out of the way of other topics, because the broker refused its own. */
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
  outbox_messages: OutboxMessagesTable
  outbox_scheduled: OutboxScheduledTable
  dead_letters: DeadLettersTable
}

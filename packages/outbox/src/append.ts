import { type Expression, type ExpressionBuilder, expressionBuilder, type SqlBool, sql, type Transaction } from 'kysely'
import { laneOf, type NewMessage, PAYLOAD_BYTES_MAX, PayloadTooLargeError } from './message.ts'
import { type OutboxTables, outboxOf } from './tables.ts'

/**
 * Writes messages that are published after the transaction commits, and never if it does not.
 * Takes a transaction, never a pool: a message must not outlive a rolled-back payment.
 *
 * @throws PayloadTooLargeError before anything is written
 */
export async function appendMessages<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  messages: readonly NewMessage[],
): Promise<void> {
  if (messages.length > 0) await appendStep(tx, messages, (message) => message.lit(true)).execute()
}

/**
 * Returns the insert of `appendMessages`, for a `with` of a larger statement of the same `tx`. That statement also writes
 * the payment or row that the messages are about, so both take one round trip.
 *
 * @param messages the messages, or a parameter of a statement that is compiled once: `messagesJson` makes its value
 * @param where condition on the columns of a message; a message that does not meet it is not appended
 * @throws PayloadTooLargeError
 */
export function appendStep<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  messages: readonly NewMessage[] | Expression<string>,
  where: (eb: ExpressionBuilder<Messages, 'message'>) => Expression<SqlBool>,
) {
  return outboxOf(tx)
    .insertInto('outbox_messages')
    .columns([...COLUMNS, 'payload'])
    .expression((eb) =>
      eb
        .selectFrom(recordset('length' in messages ? messagesJson(messages) : messages))
        .select([...COLUMNS, PAYLOAD])
        // Relays conclude from the ids that they have read which transactions must have ended (floors.ts). That holds only
        // if a transaction's xid is older than its ids. An insert takes ids first, with nextval, and its xid after them.
        // This filter is evaluated before the first row, and takes the xid.
        .where((own) => own(own.fn('pg_current_xact_id'), 'is not', null))
        .where(where),
    )
}

/**
 * Like `appendMessages`, for messages that are published `delayMs` milliseconds from now, in no order.
 *
 * @throws PayloadTooLargeError before anything is written
 */
export async function scheduleMessages<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  messages: readonly NewMessage[],
  delayMs: number,
): Promise<void> {
  if (messages.length === 0) return
  const dueAt = sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'` // The builder has no intervals.
  await outboxOf(tx)
    .insertInto('outbox_scheduled')
    .columns([...COLUMNS, 'payload', 'due_at'])
    .expression((eb) =>
      eb.selectFrom(recordset(messagesJson(messages))).select([...COLUMNS, PAYLOAD, dueAt.as('due_at')]),
    )
    .execute()
}

const COLUMNS = ['lane', 'message_id', 'key', 'topic', 'headers', 'mandatory'] as const

// A JSON null in a record set becomes SQL's null, which is no payload.
const PAYLOAD = expressionBuilder<Messages, 'message'>().fn.coalesce('payload', sql.lit('null')).as('payload')

interface Messages {
  message: {
    lane: number
    message_id: string
    key: string
    topic: string
    payload: unknown
    headers: Readonly<Record<string, string>>
    mandatory: boolean
  }
}

/**
 * The value of the parameter of `appendStep`.
 *
 * @throws PayloadTooLargeError
 */
export function messagesJson(messages: readonly NewMessage[]): string {
  for (const message of messages) {
    const bytes = Buffer.byteLength(JSON.stringify(message.payload) ?? 'null')
    if (bytes > PAYLOAD_BYTES_MAX) throw new PayloadTooLargeError(message, bytes)
  }
  const rows = messages.map(({ messageId, key, topic, payload, headers = {}, mandatory = true }) => ({
    lane: laneOf(key),
    message_id: messageId,
    key,
    topic,
    payload,
    headers,
    mandatory,
  }))
  return JSON.stringify(rows)
}

// One parameter for any number of rows, so that the statement's text does not depend on it and stays prepared. As `sql`: the
// builder has no record sets.
function recordset(json: string | Expression<string>) {
  return sql<Messages['message']>`jsonb_to_recordset(${json}::jsonb)`.as<'message'>(
    sql`message (lane smallint, message_id uuid, key text, topic text, payload jsonb, headers jsonb, mandatory boolean)`,
  )
}

import { type Expression, type RawBuilder, sql, type Transaction } from 'kysely'
import { laneOf, type NewMessage, PAYLOAD_BYTES_MAX, PayloadTooLargeError } from './message.ts'
import type { OutboxTables } from './tables.ts'

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
  if (messages.length > 0) await insertion(messages, sql`true`).execute(tx)
}

/**
 * What `appendMessages` does, to stand in a `with` of the statement that writes what the messages tell of: one round trip
 * for both.
 *
 * @param condition on the columns of a message: only those that it holds for are appended
 * @throws PayloadTooLargeError
 */
export function appending(messages: readonly NewMessage[], condition: RawBuilder<unknown>): Expression<unknown> {
  return insertion(messages, condition)
}

function insertion(messages: readonly NewMessage[], condition: RawBuilder<unknown>): RawBuilder<unknown> {
  // Relays conclude from ids that were shown to xids that must have ended (floors.ts), so the xid has to be older than
  // the id. An insert takes its xid only after nextval; this filter is evaluated before the first row, and takes it.
  return sql`
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory)
    select ${COLUMNS} from ${recordset(messages)}
    where pg_current_xact_id() is not null and ${condition}`
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
  await sql`
    insert into outbox_scheduled (lane, message_id, key, topic, payload, headers, mandatory, due_at)
    select ${COLUMNS}, clock_timestamp() + ${delayMs} * interval '1 millisecond' from ${recordset(messages)}`.execute(
    tx,
  )
}

// A JSON null arrives as SQL's, which is no payload.
const COLUMNS = sql`lane, message_id, key, topic, coalesce(payload, 'null'), headers, mandatory`

function recordset(messages: readonly NewMessage[]): RawBuilder<unknown> {
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
  return sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as message
    (lane smallint, message_id uuid, key text, topic text, payload jsonb, headers jsonb, mandatory boolean)`
}

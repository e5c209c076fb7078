import { sql, type Transaction } from 'kysely'
import { laneOf, type NewMessage } from './message.ts'
import type { OutboxTables } from './tables.ts'

export interface DeadLetter extends NewMessage {
  /** Who gave up. */
  source: string
  reason: string
  attempts: number
}

/** Leaves a message for an operator. One that waits already for the same source, topic and key says it all. */
export async function buryMessage<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { messageId, key, topic, payload, headers = {}, mandatory = true, source, reason, attempts }: DeadLetter,
): Promise<void> {
  await sql`
    insert into dead_letters (lane, message_id, key, topic, payload, headers, mandatory, source, reason, attempts)
    values (${laneOf(key)}, ${messageId}, ${key}, ${topic}, ${JSON.stringify(payload)}, ${JSON.stringify(headers)},
      ${mandatory}, ${source}, ${reason}, ${attempts})
    on conflict do nothing`.execute(tx)
}

import { join } from 'node:path'
import { query } from '@cashflow/testing'
import { DatabaseSetupExporter } from 'pg-transactional-outbox'
import type { Peer } from '../peer.ts'

export const TABLES = { dbSchema: 'public', dbTable: 'outbox', nextMessagesFunctionName: 'next_outbox_messages' }

export const pgTransactionalOutbox: Peer = {
  name: 'pg-transactional-outbox',
  program: join(import.meta.dirname, 'main.ts'),
  async install(databaseUrl) {
    await query(
      databaseUrl,
      DatabaseSetupExporter.createPollingScript(
        {
          outboxOrInbox: 'outbox',
          database: new URL(databaseUrl).pathname.slice(1),
          schema: TABLES.dbSchema,
          table: TABLES.dbTable,
          listenerRole: 'current_user',
          nextMessagesName: TABLES.nextMessagesFunctionName,
        },
        true,
      ),
    )
    return {
      async enqueue(writer, messages) {
        // Writes what its own function writes one row at a time. `parallel`, because with `sequential` it takes one
        // message of a segment at a time.
        await writer.query(
          `insert into outbox (id, aggregate_type, aggregate_id, message_type, payload, metadata, concurrency)
           select "messageId", 'payment', key, topic, payload, headers, 'parallel'
           from jsonb_to_recordset($1::jsonb) as m ("messageId" uuid, key text, topic text, payload jsonb, headers jsonb)`,
          [JSON.stringify(messages)],
        )
      },
      close: async () => {},
    }
  },
}

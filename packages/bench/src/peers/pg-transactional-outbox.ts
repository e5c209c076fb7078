import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { query } from '@cashflow/testing'
import { DatabaseSetupExporter, getDisabledLogger, initializePollingMessageListener } from 'pg-transactional-outbox'
import { log, openPublisher } from '../queue/queue.ts'
import type { Peer } from './peer.ts'

const TABLES = { dbSchema: 'public', dbTable: 'outbox', nextMessagesFunctionName: 'next_outbox_messages' }

// The fastest of: batches of 500, 2,000 and 5,000; 10, 20, 40 and 80 sessions.
const SETTINGS = {
  nextMessagesBatchSize: 2_000,
  nextMessagesPollingIntervalInMs: 20,
  // Long enough for a whole batch. For its last messages it includes the wait for a session.
  messageProcessingTimeoutInMs: 60_000,
  // Its documentation advises this for an outbox: fewer statements for each message.
  enableMaxAttemptsProtection: false,
  enablePoisonousMessageProtection: false,
}
// Each message has its own transaction, and many run at once.
const SESSIONS = 40

export const pgTransactionalOutbox: Peer = {
  name: 'pg-transactional-outbox',
  program: import.meta.filename,
  async install(databaseUrl) {
    const setup = {
      outboxOrInbox: 'outbox',
      database: new URL(databaseUrl).pathname.slice(1),
      schema: TABLES.dbSchema,
      table: TABLES.dbTable,
      listenerRole: 'current_user',
      nextMessagesName: TABLES.nextMessagesFunctionName,
    } as const
    await query(databaseUrl, DatabaseSetupExporter.createPollingScript(setup, true))
    return async (writer, messages) => {
      // Writes what its own function writes one row at a time. `parallel`, because with `sequential` it takes one
      // message of a segment at a time.
      await writer.query(
        `insert into outbox (id, aggregate_type, aggregate_id, message_type, payload, metadata, concurrency)
         select "messageId", 'payment', key, topic, payload, headers, 'parallel'
         from jsonb_to_recordset($1::jsonb) as m ("messageId" uuid, key text, topic text, payload jsonb, headers jsonb)`,
        [JSON.stringify(messages)],
      )
    }
  },
}

if (import.meta.main) {
  process.once('SIGTERM', () => process.exit(0))
  const { publish } = await openPublisher(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'))
  const complain = (...what: unknown[]) => console.error(...what)
  initializePollingMessageListener(
    {
      outboxOrInbox: 'outbox',
      dbListenerConfig: { connectionString: defined(process.env.DATABASE_URL, 'DATABASE_URL'), max: SESSIONS } as {
        connectionString: string
      },
      settings: { ...TABLES, ...SETTINGS },
    },
    {
      handle: ({ id: messageId, aggregateId: key, messageType: topic, payload, metadata }) =>
        publish([{ messageId, key, topic, payload, headers: metadata as Record<string, string> }]),
    },
    { ...getDisabledLogger(), warn: complain, error: complain, fatal: complain },
    {
      // Takes a whole batch at a time. The default polls whenever one message is done, and each poll sorts the whole
      // backlog. A poll while messages are handled also takes the lock of one of them, which is then retried seconds
      // later.
      batchSizeStrategy: async (underWay) => {
        if (underWay > 0) await sleep(1)
        return underWay > 0 ? underWay : SETTINGS.nextMessagesBatchSize
      },
    },
  )
  log('ready')
}

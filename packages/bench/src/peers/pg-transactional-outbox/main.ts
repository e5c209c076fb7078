import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { getDisabledLogger, initializePollingMessageListener } from 'pg-transactional-outbox'
import { log } from '../../queue/log.ts'
import { openPublisher } from '../../queue/publisher.ts'
import { TABLES } from './pg-transactional-outbox.ts'

// The fastest of: batches of 500, 2,000 and 5,000; 10, 20, 40 and 80 sessions.
const SETTINGS = {
  nextMessagesBatchSize: 2_000,
  nextMessagesPollingIntervalInMs: 20,
  // Long enough for a whole batch. For its last messages it includes the wait for a session.
  messageProcessingTimeoutInMs: 60_000,
  // As its documentation advises for an outbox: fewer statements for each message.
  enableMaxAttemptsProtection: false,
  enablePoisonousMessageProtection: false,
}
// Each message has its own transaction, and many run at once.
const SESSIONS = 40

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
    handle: ({ id, aggregateId, messageType, payload, metadata }) =>
      publish([
        {
          messageId: id,
          key: aggregateId,
          topic: messageType,
          payload,
          headers: metadata as Record<string, string>,
        },
      ]),
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

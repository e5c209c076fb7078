import { defined } from '@cashflow/async'
import type { NewMessage } from '@cashflow/outbox'
import { PgBoss } from 'pg-boss'
import { log, openPublisher } from '../queue/queue.ts'
import type { Peer } from './peer.ts'

const QUEUE = 'messages'

// The fastest of: batches of 500, 1,000, 2,000 and 5,000; 1, 2 and 4 batches at once.
const SETTINGS = {
  // Jobs that are fetched, published and completed together.
  batchSize: 1_000,
  localConcurrency: 4,
  // Fetches the next batch at once after a full one.
  burstWhenBatchFull: true,
  pollingIntervalSeconds: 0.5,
}

export const pgBoss: Peer = {
  name: 'pg-boss',
  program: import.meta.filename,
  async install(databaseUrl, cleanup) {
    const boss = new PgBoss({ connectionString: databaseUrl, supervise: false, schedule: false })
    await boss.start()
    cleanup.defer(() => boss.stop())
    await boss.createQueue(QUEUE)
    return async (client, messages) => {
      const jobs = messages.map((message) => ({ id: message.messageId, data: message }))
      await boss.insert(QUEUE, jobs, { db: { executeSql: (text, values) => client.query(text, values) } })
    }
  },
}

if (import.meta.main) {
  process.once('SIGTERM', () => process.exit(0))
  const { publish } = await openPublisher(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'))
  const boss = new PgBoss({ connectionString: defined(process.env.DATABASE_URL, 'DATABASE_URL') })
  boss.on('error', (error) => process.stderr.write(`${error.stack}\n`))
  await boss.start()
  await boss.work<NewMessage>(QUEUE, SETTINGS, (jobs) => publish(jobs.map(({ data }) => data)))
  log('ready')
}

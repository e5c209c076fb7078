import type { NewMessage } from '@cashflow/outbox'
import { Logger, run } from 'graphile-worker'
import { log } from '../../queue/log.ts'
import { openPublisher } from '../../queue/publisher.ts'
import { TASK } from './graphile-worker.ts'

// The fastest of: 100 to 5,000 jobs at once, local queues as long and twice as long, delays of 0 and 10 ms.
const SETTINGS = {
  concurrentJobs: 2_000,
  // Fetched together.
  localQueue: { size: 4_000 },
  // Completed together: all that are done at the same time.
  completeJobBatchDelay: 0,
}

process.once('SIGTERM', () => process.exit(0))
const { publish } = await openPublisher(process.env.RABBITMQ_URL ?? '')
await run({
  taskList: { [TASK]: (message) => publish([message as NewMessage]) },
  // By itself it writes a line for each job.
  logger: new Logger(() => (level, text) => {
    if (level === 'error' || level === 'warning') process.stderr.write(`${text}\n`)
  }),
  noHandleSignals: true,
  preset: { worker: { connectionString: process.env.DATABASE_URL ?? '', maxPoolSize: 10, ...SETTINGS } },
})
log('ready')

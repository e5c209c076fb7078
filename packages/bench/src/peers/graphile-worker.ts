import { defined } from '@cashflow/async'
import type { NewMessage } from '@cashflow/outbox'
import { Logger, run, runMigrations } from 'graphile-worker'
import { log, openPublisher } from '../queue/queue.ts'
import type { Peer } from './peer.ts'

const TASK = 'publish'

// The fastest of: 100 to 5,000 jobs at once, local queues as long and twice as long, and delays of 0 and 10 ms.
const SETTINGS = {
  concurrentJobs: 2_000,
  // Jobs that are fetched together.
  localQueue: { size: 4_000 },
  // Jobs that end at the same time are completed together.
  completeJobBatchDelay: 0,
}

export const graphileWorker: Peer = {
  name: 'graphile-worker',
  program: import.meta.filename,
  async install(databaseUrl) {
    await runMigrations({ connectionString: databaseUrl })
    return async (client, messages) => {
      const specs = messages.map((payload) => ({ identifier: TASK, payload }))
      await client.query(
        `select from graphile_worker.add_jobs(array(
           select spec from json_populate_recordset(null::graphile_worker.job_spec, $1::json) as spec))`,
        [JSON.stringify(specs)],
      )
    }
  },
}

if (import.meta.main) {
  process.once('SIGTERM', () => process.exit(0))
  const { publish } = await openPublisher(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'))
  await run({
    taskList: { [TASK]: (message) => publish([message as NewMessage]) },
    // The default logger writes a line for each job.
    logger: new Logger(() => (level, text) => {
      if (level === 'error' || level === 'warning') process.stderr.write(`${text}\n`)
    }),
    noHandleSignals: true,
    preset: {
      worker: { connectionString: defined(process.env.DATABASE_URL, 'DATABASE_URL'), maxPoolSize: 10, ...SETTINGS },
    },
  })
  log('ready')
}

import { createDatabase, databasePart } from '@cashflow/db'
import { createNotifier } from '@cashflow/outbox'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createApp } from './app.ts'
import { apiConfig } from './config.ts'
import { CONNECTIONS_MAX, REQUESTS_MAX } from './connections.ts'
import { httpPart } from './http-part.ts'
import { createQueue } from './queue.ts'

const { databaseUrl, logLevel, redriveAfterMs, host, port, queueMax } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({ url: databaseUrl, applicationName: 'cashflow-api', poolMax: CONNECTIONS_MAX, logger })
const queue = createQueue({ runningMax: REQUESTS_MAX, waitingMax: queueMax, logger })
const app = createApp({ db, queue, notifier: createNotifier(db), redriveAfterMs, logger })

await runUntilSignal([databasePart(db, logger), httpPart(app, { host, port, logger })], { logger, deadlineMs: 20_000 })

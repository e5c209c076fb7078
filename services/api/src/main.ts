import { createDatabase, databaseComponent, serviceSession } from '@cashflow/db'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import { createCondition, createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createApp } from './app.ts'
import { apiConfig } from './config.ts'
import { httpComponent } from './http-component.ts'
import { CONNECTIONS_MAX, READS_MAX, WRITES_MAX } from './limits.ts'
import { createPaymentWriter } from './payments/create-payment.ts'
import { createRequestQueue } from './request-queue.ts'

const { databaseUrl, logLevel, redriveAfterMs, host, port, queueMax } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({
  url: databaseUrl,
  applicationName: serviceSession('api'),
  poolMax: CONNECTIONS_MAX,
  logger,
})
const notifier = createNotifier(db, createCondition(logger, NOTIFY_FAILS))
const writer = createPaymentWriter({ db, notifier, redriveAfterMs })
const writes = createRequestQueue({ name: 'writes', runningMax: WRITES_MAX, waitingMax: queueMax, logger })
const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, logger })
const app = createApp({ db, writer, writes, reads, logger })

await runUntilSignal([databaseComponent(db, logger), httpComponent(app, { host, port, logger })], {
  logger,
  deadlineMs: 20_000,
})

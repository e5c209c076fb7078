import { createDatabase, databasePart } from '@cashflow/db'
import { createNotifier } from '@cashflow/outbox'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createApp } from './app.ts'
import { apiConfig } from './config.ts'
import { httpPart } from './http-part.ts'

const { databaseUrl, logLevel, redriveAfterMs, host, port } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({ url: databaseUrl, applicationName: 'cashflow-api', poolMax: 10, logger })
const app = createApp({ db, notifier: createNotifier(db), logger, redriveAfterMs })

await runUntilSignal([databasePart(db, logger), httpPart(app, { host, port, logger })], { logger, deadlineMs: 20_000 })

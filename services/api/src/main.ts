import {
  createDatabase,
  databaseComponent,
  deleteIdleRateLimits,
  readCursorSecret,
  reportUse,
  serviceSession,
} from '@cashflow/db'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import { createCondition, createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createApp } from './app.ts'
import { createAuthentication } from './auth/create-authentication.ts'
import { apiConfig } from './config.ts'
import { createCursors } from './cursor.ts'
import { httpComponent } from './http-component.ts'
import { CONNECTIONS_MAX, LISTS_MAX, READS_MAX, WRITES_MAX } from './limits.ts'
import { createPaymentWriter } from './payments/create-payment.ts'
import { createRateLimiter } from './rate-limit/rate-limiter.ts'
import { createRequestQueue } from './request-queue.ts'

const config = loadConfig(apiConfig)
const { databaseUrl, sandbox, redriveAfterMs, queueMax, rateLimit, trustProxy, simulations, auth } = config
const logger = createLogger({ service: 'api', level: config.logLevel })
const db = createDatabase({
  url: databaseUrl,
  applicationName: serviceSession('api'),
  poolMax: CONNECTIONS_MAX,
  sandbox,
  logger,
})
const notifier = createNotifier(db, createCondition(logger, NOTIFY_FAILS))
const writer = createPaymentWriter({ db, notifier, redriveAfterMs, logger })
const writes = createRequestQueue({ name: 'writes', runningMax: WRITES_MAX, waitingMax: queueMax, logger })
const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, logger })
const lists = createRequestQueue({
  name: 'lists',
  runningMax: LISTS_MAX,
  waitingMax: queueMax,
  onePerMerchant: true,
  logger,
})
const cursors = createCursors(() => readCursorSecret(db))
const rateLimiter = createRateLimiter({
  limit: rateLimit,
  report: (uses, bucket) => reportUse(db, uses, bucket),
  deleteIdle: () => deleteIdleRateLimits(db),
  logger,
})
const { authenticate, keyUses } = createAuthentication({ auth, db, sandbox, logger })
const app = createApp({
  ...{ authenticate, db, writer, writes, reads, lists, cursors, rateLimiter, trustProxy, simulations, logger },
})

const http = httpComponent(app, { host: config.host, port: config.port, logger })
await runUntilSignal([databaseComponent(db, logger), keyUses, rateLimiter, http], { logger, deadlineMs: 20_000 })

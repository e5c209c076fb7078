import {
  createDatabase,
  createListener,
  createSettledNotifier,
  databaseComponent,
  deleteIdleRateLimits,
  findPayments,
  findSettled,
  readCursorSecret,
  reportUse,
  SETTLED_CHANNEL,
  SETTLED_NOTIFY_FAILS,
  serviceSession,
} from '@cashflow/db'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import { createCondition, createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createApp } from './app.ts'
import { createAuthentication } from './auth/create-authentication.ts'
import { apiConfig } from './config.ts'
import { defaultConnectionsMax } from './connections.ts'
import { createCursors } from './cursor.ts'
import { httpComponent } from './http-component.ts'
import { CHANGES_MAX, CONNECTIONS_MAX, LISTS_MAX, READS_MAX, WRITES_MAX, waitsMax } from './limits.ts'
import { createPaymentWriter } from './payments/create-payment.ts'
import { createWaits } from './payments/waits.ts'
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
const settledNotifier = createSettledNotifier(db, createCondition(logger, SETTLED_NOTIFY_FAILS))
const settled = (paymentId: string) => {
  notifier.notify()
  settledNotifier.notify(paymentId)
}
const waits = createWaits({
  find: (names) => findPayments(db, names),
  findSettled: (names) => findSettled(db, names),
  waitsMax: waitsMax(defaultConnectionsMax()),
  logger,
})
const listener = createListener({
  db,
  service: 'api',
  channel: SETTLED_CHANNEL,
  onNotify: waits.onNotify,
  logger,
  otherwise: 'requests that wait for a payment find it a second later',
})
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
const changes = createRequestQueue({ name: 'changes', runningMax: CHANGES_MAX, waitingMax: queueMax, logger })
const rateLimiter = createRateLimiter({
  limit: rateLimit,
  report: (uses, bucket) => reportUse(db, uses, bucket),
  deleteIdle: () => deleteIdleRateLimits(db),
  logger,
})
const { authenticate, keyUses } = createAuthentication({ auth, db, sandbox, logger })
const { notify } = notifier
const app = createApp({
  ...{ authenticate, rateLimiter, trustProxy, sandbox, simulations, logger },
  ...{ db, writer, writes, reads, lists, cursors, changes, waits, notify, settled },
})

const http = httpComponent(app, { host: config.host, port: config.port, logger })
// Stopped in reverse order: waiting requests are answered at once, and `http` then waits for all answers.
const parts = [databaseComponent(db, logger), keyUses, rateLimiter, http, waits, listener]
await runUntilSignal(parts, { logger, deadlineMs: 20_000 })

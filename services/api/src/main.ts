import {
  createDatabase,
  createFacts,
  createHeartbeat,
  createListener,
  createSettledNotifier,
  databaseComponent,
  deleteIdleRateLimits,
  findPayments,
  findSettled,
  readCursorSecret,
  registerFacts,
  reportUse,
  SETTLED_CHANNEL,
  SETTLED_NOTIFY_FAILS,
  serviceSession,
} from '@cashflow/db'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import {
  createCertificates,
  createCondition,
  createLogger,
  loadConfig,
  runUntilSignal,
  VERSION,
  withAdmin,
} from '@cashflow/runtime'
import { startTracing } from '@cashflow/tracing'
import { Registry } from '@prometheus-io/client'
import { createApp } from './app.ts'
import { createAuthentication } from './auth/create-authentication.ts'
import { apiConfig } from './config.ts'
import { defaultConnectionsMax } from './connections.ts'
import { consoleConnectionsMax, consoleParts } from './console.ts'
import { createCursors } from './cursor.ts'
import { httpComponent } from './http-component.ts'
import { CONNECTIONS_MAX, waitsMax } from './limits.ts'
import { registerApi, registerBatches, registerCreated, registerRequests } from './metrics.ts'
import { createPaymentWriter } from './payments/create-payment.ts'
import { createWaits } from './payments/waits.ts'
import { createQueues } from './queues.ts'
import { createRateLimiter } from './rate-limit/rate-limiter.ts'

const config = loadConfig(apiConfig)
const { databaseUrl, sandbox, standbyRequired, redriveAfterMs, queueMax, rateLimit, trustProxy, simulations } = config
const { auth, webhooks } = config
const logger = createLogger({ service: 'api', level: config.logLevel })
const tracing = await startTracing({ service: 'cashflow-api', settings: config.tracing, logger })
const { spans } = tracing
const registry = new Registry()
const db = createDatabase({
  url: databaseUrl,
  applicationName: serviceSession('api'),
  poolMax: CONNECTIONS_MAX,
  sandbox,
  standbyRequired,
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
  unseenMax: queueMax,
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
const [onBatch, onCreated] = [registerBatches(registry), registerCreated(registry)]
const writer = createPaymentWriter({ db, notifier, redriveAfterMs, onBatch, onCreated, spans, logger })
const queues = createQueues({ queueMax, logger })
const cursors = createCursors(() => readCursorSecret(db))
const rateLimiter = createRateLimiter({
  limit: rateLimit,
  report: (uses, bucket) => reportUse(db, uses, bucket),
  deleteIdle: () => deleteIdleRateLimits(db),
  logger,
})
const { authenticate, keyUses } = createAuthentication({ auth, db, sandbox, logger })
const { notify } = notifier
const app = createApp({
  ...{ authenticate, rateLimiter, trustProxy, sandbox, simulations, webhooks, logger },
  ...{ ...queues, db, writer, cursors, waits, notify, settled },
  onRequest: registerRequests(registry),
  tracing: { spans, ...config.sampling },
})

const facts = createFacts({ db, standbyRequired, logger })
registerFacts(registry, facts)
const heartbeat = createHeartbeat({ db, role: 'api', version: VERSION, registry, logger })
const certificates = config.certificate && createCertificates(config.certificate, { what: 'HTTPS', logger })
const connectionsMax = defaultConnectionsMax() - (config.console ? consoleConnectionsMax() : 0)
const http = httpComponent(app, { host: config.host, port: config.port, certificates, connectionsMax, logger })
const operators = config.console ? consoleParts({ ...config, console: config.console, certificates, logger }) : []
// Stopped in reverse order: waiting requests are answered at once, and `http` then waits for all answers.
const parts = [
  ...[tracing, databaseComponent(db, logger), heartbeat, facts, keyUses, rateLimiter, ...operators],
  ...[http, waits, listener],
]
registerApi(registry, { db, queues, waits, listener })
const admin = {
  ...{ ...config.admin, service: 'api', registry, logger },
  watched: [notifier, settledNotifier, writer],
  servers: () => ({ postgresql: listener.isListening ? 'reached' : 'away' }),
}
await runUntilSignal(withAdmin(parts, admin), { logger, deadlineMs: 20_000 })

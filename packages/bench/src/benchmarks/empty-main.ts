import {
  apiConfig,
  createApp,
  createAuthentication,
  createCursors,
  createRateLimiter,
  createRequestQueue,
  createWaits,
  httpComponent,
  type PaymentWriter,
  READS_MAX,
  WRITES_MAX,
} from '@cashflow/api'
import { createDatabase, readCursorSecret } from '@cashflow/db'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'

/**
 * The API as its main.ts builds it, except that it stores no payment. The difference to the real API is the cost of the
 * database.
 */
const { databaseUrl, logLevel, host, port, queueMax, rateLimit, trustProxy, auth, sandbox } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({ url: databaseUrl, applicationName: 'empty', poolMax: 1, logger }) // A session is opened for keys only.
const writer: Pick<PaymentWriter, 'write'> = {
  write: async ({ payment }) => ({ has: 'itself', paymentId: payment.id }),
}
const writes = createRequestQueue({ name: 'writes', runningMax: WRITES_MAX, waitingMax: queueMax, logger })
const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, logger })
const cursors = createCursors(() => readCursorSecret(db))
const unshared = { report: async () => [], deleteIdle: async () => {} }
const rateLimiter = createRateLimiter({ limit: rateLimit, ...unshared, logger })
const { authenticate } = createAuthentication({ auth, db, sandbox, logger })
const waits = createWaits({ find: async () => [], findSettled: async () => [], waitsMax: 1, unseenMax: 1, logger })
// No benchmark reads a list here.
const app = createApp({
  ...{ authenticate, rateLimiter, trustProxy, sandbox: false, webhooks: undefined, logger },
  ...{ db, writer, writes, reads, lists: reads, cursors, changes: writes, waits, notify() {}, settled() {} },
})

await runUntilSignal([httpComponent(app, { host, port, logger })], { logger, deadlineMs: 20_000 })

import { apiConfig, createApp, createRequestQueue, httpComponent, READS_MAX, WRITES_MAX } from '@cashflow/api'
import { createDatabase } from '@cashflow/db'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'

/**
 * The API as its main.ts builds it, except that it stores no payment. The difference to the real API is the cost of the
 * database.
 */
const { databaseUrl, logLevel, host, port, queueMax } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({ url: databaseUrl, applicationName: 'empty', poolMax: 1, logger }) // No session is ever opened.
const writer = { write: async ({ payment }: { payment: { id: string } }) => ({ paymentId: payment.id, mismatch: [] }) }
const writes = createRequestQueue({ name: 'writes', runningMax: WRITES_MAX, waitingMax: queueMax, logger })
const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, logger })
const app = createApp({ db, writer, writes, reads, logger })

await runUntilSignal([httpComponent(app, { host, port, logger })], { logger, deadlineMs: 20_000 })

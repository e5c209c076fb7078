import { apiConfig, createApp, createRequestQueue, httpComponent, READS_MAX, WRITES_MAX } from '@cashflow/api'
import { createDatabase } from '@cashflow/db'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'

/** The API as its main.ts puts it together, except that a payment is stored nowhere: what the database costs is missing. */
const { databaseUrl, logLevel, host, port, queueMax } = loadConfig(apiConfig)
const logger = createLogger({ service: 'api', level: logLevel })
const db = createDatabase({ url: databaseUrl, applicationName: 'empty', poolMax: 1, logger }) // Never connected.
const writer = { write: async ({ payment }: { payment: { id: string } }) => ({ paymentId: payment.id, mismatch: [] }) }
const writes = createRequestQueue({ name: 'writes', runningMax: WRITES_MAX, waitingMax: queueMax, logger })
const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, logger })
const app = createApp({ db, writer, writes, reads, logger })

await runUntilSignal([httpComponent(app, { host, port, logger })], { logger, deadlineMs: 20_000 })

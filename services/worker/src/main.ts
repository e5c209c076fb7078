import { createDatabase, databasePart } from '@cashflow/db'
import { connectionPart, createConnection, createConsumer, paymentsTopology } from '@cashflow/messaging'
import { createNotifier } from '@cashflow/outbox'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { workerConfig } from './config.ts'
import { createHandler } from './handle-delivery.ts'
import { createReconciler } from './reconcile.ts'
import { createSimulatedProvider } from './simulated-provider.ts'

const config = loadConfig(workerConfig)
const logger = createLogger({ service: 'worker', level: config.logLevel })
const db = createDatabase({ url: config.databaseUrl, applicationName: 'cashflow-worker', poolMax: 10, logger })
const { notify } = createNotifier(db)
const provider = createSimulatedProvider({ delayMs: config.providerDelayMs, successRate: config.providerSuccessRate })
const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker', logger })
const { redriveAfterMs, providerDeadlineMs, reconcileIntervalMs: intervalMs } = config
const handler = createHandler({ db, provider, logger, notify, providerDeadlineMs, redriveAfterMs })
const reconciler = createReconciler({ db, logger, notify, redriveAfterMs, intervalMs })
const topology = paymentsTopology(config.queue)
const consumer = createConsumer({
  connection,
  topology,
  queue: topology.queue,
  prefetch: config.prefetch,
  handle: handler.handle,
  logger,
})

const parts = [databasePart(db, logger), connectionPart(connection), reconciler, handler, consumer]
await runUntilSignal(parts, { logger, deadlineMs: 20_000 })

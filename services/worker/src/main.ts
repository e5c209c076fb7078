import { createDatabase, databaseComponent, serviceSession } from '@cashflow/db'
import { WORK_TOPICS } from '@cashflow/domain'
import {
  connectionComponent,
  createConnection,
  createConsumer,
  topologyComponent,
  workQueue,
} from '@cashflow/messaging'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import { createCondition, createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { workerConfig } from './config.ts'
import { createDeadDeliveryHandler } from './handle-dead-delivery.ts'
import { createHandler } from './handle-delivery.ts'
import { createAdmission } from './provider/admission.ts'
import { createBreaker } from './provider/breaker.ts'
import { createProvider } from './provider/create-provider.ts'
import { createReconciler } from './reconcile.ts'

// Few use the database at the same time; the others may be waiting for an operator.
const DEAD_PREFETCH = 100
// No message of ours is as large, and 100 of another's may be in hand.
const BODY_BYTES_MAX = 65_536
// For all that is not the drain.
const STOP_MARGIN_MS = 10_000

const config = loadConfig(workerConfig)
const logger = createLogger({ service: 'worker', level: config.logLevel })
const db = createDatabase({ url: config.databaseUrl, applicationName: serviceSession('worker'), poolMax: 10, logger })
const { notify } = createNotifier(db, createCondition(logger, NOTIFY_FAILS))
const provider = createProvider(config.provider, logger)
const { providerFailuresMax: failuresMax, providerOpenMs: openMs } = config
const breaker = createAdmission(createBreaker({ provider, logger, failuresMax, openMs }), config.providerConcurrency)
const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker', logger })
// What costs this one its connection costs no payment its delivery.
const deadConnection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker-dead', logger })
const { redriveAfterMs, providerDeadlineMs, providerPendingMaxMs, reconcileIntervalMs: intervalMs } = config
const limits = { providerDeadlineMs, redriveAfterMs, pendingMaxMs: providerPendingMaxMs }
const handler = createHandler({ db, breaker, logger, notify, ...limits })
const deadHandler = createDeadDeliveryHandler({ db, logger })
const waiting = () => breaker.waiting
const reconciler = createReconciler({ db, logger, notify, redriveAfterMs, intervalMs, waiting })
const topology = workQueue({ queue: config.queue, exchange: config.exchange, topics: WORK_TOPICS })
const consumer = createConsumer({
  connection,
  topology,
  queue: topology.queue,
  prefetch: config.prefetch,
  bodyBytesMax: BODY_BYTES_MAX,
  handle: handler.handle,
  logger,
})

const deadConsumer = createConsumer({
  connection: deadConnection,
  topology,
  queue: topology.deadLetterQueue,
  prefetch: DEAD_PREFETCH,
  bodyBytesMax: BODY_BYTES_MAX,
  handle: deadHandler.handle,
  logger,
})

const consumerPart = { ...consumer, stop: () => consumer.stop({ deadlineMs: config.drainMs }) }
// It takes turns with the others for the time that stopping may take; what it does is short.
const deadConsumerPart = { ...deadConsumer, stop: () => deadConsumer.stop({ deadlineMs: 2_000 }) }

const parts = [
  databaseComponent(db, logger),
  connectionComponent(connection),
  connectionComponent(deadConnection),
  reconciler,
  deadHandler,
  deadConsumerPart,
  handler,
  consumerPart,
  breaker,
  topologyComponent(consumer, deadConsumer),
]
await runUntilSignal(parts, { logger, deadlineMs: config.drainMs + STOP_MARGIN_MS })

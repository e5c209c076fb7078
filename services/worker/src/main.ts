import { createDatabase, databasePart, serviceSession } from '@cashflow/db'
import { connectionPart, createConnection, createConsumer, paymentsTopology, topologyPart } from '@cashflow/messaging'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import { createCondition, createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createBreaker } from './breaker.ts'
import { workerConfig } from './config.ts'
import { createProvider } from './create-provider.ts'
import { createDeadDeliveryHandler } from './handle-dead-delivery.ts'
import { createHandler } from './handle-delivery.ts'
import { limitCharges } from './provider-slots.ts'
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
const breaker = limitCharges(createBreaker({ provider, logger, failuresMax, openMs }), config.providerConcurrency)
const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker', logger })
// What costs this one its connection costs no payment its delivery.
const deadConnection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker-dead', logger })
const { redriveAfterMs, providerDeadlineMs, providerPendingMaxMs, reconcileIntervalMs: intervalMs } = config
const limits = { providerDeadlineMs, redriveAfterMs, pendingMaxMs: providerPendingMaxMs }
const handler = createHandler({ db, breaker, logger, notify, ...limits })
const deadHandler = createDeadDeliveryHandler({ db, logger })
const waiting = () => breaker.waiting
const reconciler = createReconciler({ db, logger, notify, redriveAfterMs, intervalMs, waiting })
const topology = paymentsTopology(config.queue, config.exchange)
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
  databasePart(db, logger),
  connectionPart(connection),
  connectionPart(deadConnection),
  reconciler,
  deadHandler,
  deadConsumerPart,
  handler,
  consumerPart,
  breaker,
  topologyPart(consumer, deadConsumer),
]
await runUntilSignal(parts, { logger, deadlineMs: config.drainMs + STOP_MARGIN_MS })

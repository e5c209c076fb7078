import {
  createDatabase,
  createSettledNotifier,
  databaseComponent,
  SETTLED_NOTIFY_FAILS,
  serviceSession,
} from '@cashflow/db'
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
import { createSimulator } from './simulate.ts'

// Few dead deliveries use the database at the same time. The others may wait for an operator.
const DEAD_PREFETCH = 100
// Larger than any message of Cashflow, and small enough to hold 100 messages of another producer.
const BODY_BYTES_MAX = 65_536
// Storing a dead delivery is short, and its stop adds to the time of the whole stop.
const DEAD_DRAIN_MS = 2_000
// Time to stop everything except the consumer of payments.
const STOP_MARGIN_MS = 10_000

const config = loadConfig(workerConfig)
const logger = createLogger({ service: 'worker', level: config.logLevel })
const db = createDatabase({
  url: config.databaseUrl,
  applicationName: serviceSession('worker'),
  poolMax: 11,
  sandbox: config.sandbox,
  logger,
})
const { notify } = createNotifier(db, createCondition(logger, NOTIFY_FAILS))

const settledNotifier = createSettledNotifier(db, createCondition(logger, SETTLED_NOTIFY_FAILS))
const settled = (paymentId: string) => {
  notify()
  settledNotifier.notify(paymentId)
}

const provider = createProvider(config.provider, logger)
const admission = createAdmission(createBreaker({ provider, logger, ...config.breaker }), config.chargesMax)
const simulator = config.provider.kind === 'simulated' ? createSimulator({ db, logger }) : undefined
const handler = createHandler({ db, admission, simulator, logger, settled, ...config.processing })
const deadHandler = createDeadDeliveryHandler({ db, logger })
const waiting = () => admission.waiting
const reconciler = createReconciler({ db, logger, notify, waiting, ...config.reconciling })

const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker', logger })
// A separate connection: a dead message that makes RabbitMQ close the connection interrupts no payment.
const deadConnection = createConnection({ urls: config.brokerUrls, name: 'cashflow-worker-dead', logger })
const topology = workQueue({ queue: config.queue, exchange: config.exchange, topics: WORK_TOPICS })
const shared = { topology, bodyBytesMax: BODY_BYTES_MAX, logger }
const consumer = createConsumer({
  ...shared,
  connection,
  queue: topology.queue,
  prefetch: config.prefetch,
  handle: handler.handle,
})
const deadConsumer = createConsumer({
  ...shared,
  connection: deadConnection,
  queue: topology.deadLetterQueue,
  prefetch: DEAD_PREFETCH,
  handle: deadHandler.handle,
})

const parts = [
  databaseComponent(db, logger),
  connectionComponent(connection),
  connectionComponent(deadConnection),
  reconciler,
  deadHandler,
  { ...deadConsumer, stop: () => deadConsumer.stop({ deadlineMs: DEAD_DRAIN_MS }) },
  handler,
  { ...consumer, stop: () => consumer.stop({ deadlineMs: config.drainMs }) },
  admission,
  topologyComponent(consumer, deadConsumer),
]
await runUntilSignal(parts, { logger, deadlineMs: config.drainMs + STOP_MARGIN_MS })

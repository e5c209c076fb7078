import {
  createDatabase,
  createHeartbeat,
  createPauseWatch,
  createSettledNotifier,
  databaseComponent,
  registerPauses,
  SETTLED_NOTIFY_FAILS,
  serviceSession,
} from '@cashflow/db'
import { claimNothing, createSettledAfter } from '@cashflow/db/worker'
import { type PaymentStatus, WORK_TOPICS } from '@cashflow/domain'
import {
  connectionComponent,
  createConnection,
  createConsumer,
  topologyComponent,
  workQueue,
} from '@cashflow/messaging'
import { createNotifier, NOTIFY_FAILS } from '@cashflow/outbox'
import {
  createBrokerTls,
  createCondition,
  createLogger,
  loadConfig,
  runUntilSignal,
  VERSION,
  withAdmin,
} from '@cashflow/runtime'
import { startTracing } from '@cashflow/tracing'
import { Registry } from '@prometheus-io/client'
import { workerConfig } from './config.ts'
import { createDeadDeliveryHandler } from './handle-dead-delivery.ts'
import { createHandler } from './handle-delivery.ts'
import { registerDeliveries, registerProvider, registerSettlements, registerWorker } from './metrics.ts'
import { createAdmission } from './provider/admission.ts'
import { createBreaker } from './provider/breaker.ts'
import { openChargesFile } from './provider/charges-file.ts'
import { createProvider } from './provider/create-provider.ts'
import { createReconciler } from './reconcile.ts'
import { createSimulator, refuseToSimulate } from './simulate.ts'
import { createBeginDelivery } from './trace-delivery.ts'

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
const tracing = await startTracing({ service: 'cashflow-worker', settings: config.tracing, logger })
const { spans } = tracing
const registry = new Registry()
const db = createDatabase({
  url: config.databaseUrl,
  applicationName: serviceSession('worker'),
  poolMax: 13,
  sandbox: config.sandbox,
  standbyRequired: config.standbyRequired,
  logger,
})
const pauses = createPauseWatch({ db, own: 'worker', logger, onChange: pauseConsumers })
const notifier = createNotifier(db, createCondition(logger, NOTIFY_FAILS))
const { notify } = notifier
const settledNotifier = createSettledNotifier(db, createCondition(logger, SETTLED_NOTIFY_FAILS))
const noteSettled = registerSettlements(registry)
const settledAfter = createSettledAfter()
const settled = (paymentId: string, status: PaymentStatus, createdAt: Date) => {
  noteSettled(status)
  settledAfter.note(Date.now() - createdAt.getTime())
  notify()
  settledNotifier.notify(paymentId)
}

const chargesFile = config.provider.kind === 'simulated' ? config.provider.chargesFile : undefined
const noteCharge = chargesFile === undefined ? undefined : openChargesFile(chargesFile)
const provider = createProvider(config.provider, logger, spans, noteCharge)
const onAnswer = registerProvider(registry)
const admission = createAdmission(createBreaker({ provider, logger, onAnswer, ...config.breaker }), config.chargesMax)
const simulator = config.provider.kind === 'simulated' ? createSimulator({ db, logger, noteCharge }) : undefined
// In a live deployment metadata.simulate is metadata like any other.
const simulate = config.sandbox ? refuseToSimulate : undefined
const beginDelivery = spans && createBeginDelivery(spans, config)
const handler = createHandler({
  ...{ db, admission, simulator, simulate, logger, settled, spans, beginDelivery },
  ...config.processing,
})
const deadHandler = createDeadDeliveryHandler({ db, logger })
const waiting = () => admission.waiting
const reconciler = createReconciler({ db, logger, notify, waiting, isPaused: pauses.isAny, ...config.reconciling })

const brokers = { urls: config.brokerUrls, tls: createBrokerTls(config.brokerTls, logger), logger }
const connection = createConnection({ ...brokers, name: 'cashflow-worker' })
// A separate connection: a dead message that makes RabbitMQ close the connection interrupts no payment.
const deadConnection = createConnection({ ...brokers, name: 'cashflow-worker-dead' })
const topology = workQueue({ queue: config.queue, exchange: config.exchange, topics: WORK_TOPICS })
const shared = { topology, bodyBytesMax: BODY_BYTES_MAX, isWatchPaused: pauses.isAny, logger }
const consumer = createConsumer({
  ...shared,
  connection,
  queue: topology.queue,
  prefetch: config.prefetch,
  handle: registerDeliveries(registry, handler.handle),
})
const deadConsumer = createConsumer({
  ...shared,
  connection: deadConnection,
  queue: topology.deadLetterQueue,
  prefetch: DEAD_PREFETCH,
  handle: deadHandler.handle,
})

/** A dead delivery redrives its payment, and during any pause nothing is redriven. */
function pauseConsumers(): void {
  if (pauses.inForce('worker')) consumer.pause()
  else consumer.resume()
  if (pauses.isAny()) deadConsumer.pause()
  else deadConsumer.resume()
}

const heartbeat = createHeartbeat({
  db,
  role: 'worker',
  version: VERSION,
  registry,
  counts: settledAfter.counts,
  logger,
})

const parts = [
  tracing,
  databaseComponent(db, logger, () => claimNothing(db)),
  pauses,
  heartbeat,
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
const connections = [connection, deadConnection]
const consumers = { work: consumer, dead: deadConsumer }
registerPauses(registry, pauses)
registerWorker(registry, { db, connections, handler, admission, reconciler, consumers })
const admin = { ...config.admin, service: 'worker', registry, logger, watched: [notifier, settledNotifier] }
await runUntilSignal(withAdmin(parts, admin), { logger, deadlineMs: config.drainMs + STOP_MARGIN_MS })

import { createWakeSignal } from '@cashflow/async'
import {
  createDatabase,
  createFacts,
  createHeartbeat,
  createPauseWatch,
  databaseComponent,
  registerFacts,
  registerPauses,
  serviceSession,
} from '@cashflow/db'
import { WORK_TOPICS } from '@cashflow/domain'
import {
  connectionComponent,
  createConnection,
  createPublisher,
  topologyComponent,
  workQueue,
} from '@cashflow/messaging'
import { createFloors } from '@cashflow/outbox'
import { createBrokerTls, createLogger, loadConfig, runUntilSignal, VERSION, withAdmin } from '@cashflow/runtime'
import { startTracing } from '@cashflow/tracing'
import { Registry } from '@prometheus-io/client'
import { createBacklogWatch } from './backlog-watch.ts'
import { relayConfig } from './config.ts'
import { IDLE_IN_TRANSACTION_MS, MESSAGES_HELD_MAX } from './limits.ts'
import { createRelayListener } from './listener.ts'
import { registerConfirms, registerRelay } from './metrics.ts'
import { createRelay } from './relay.ts'
import { createRoutingWatch } from './routing-watch.ts'
import { tracePublisher } from './trace-publisher.ts'

const config = loadConfig(relayConfig)
const logger = createLogger({ service: 'relay', level: config.logLevel })
const tracing = await startTracing({ service: 'cashflow-relay', settings: config.tracing, logger })
const registry = new Registry()
const db = createDatabase({
  url: config.databaseUrl,
  applicationName: serviceSession('relay'),
  poolMax: config.passes + 6, // For promotion, the check of the floors, the watches of pauses and backlog, the facts and the heartbeat.
  sandbox: config.sandbox,
  standbyRequired: config.standbyRequired,
  idleInTransactionMs: IDLE_IN_TRANSACTION_MS,
  logger,
})
const tls = createBrokerTls(config.brokerTls, logger)
const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-relay', tls, logger })
const publisher = createPublisher({
  connection,
  topology: workQueue({ queue: config.queue, exchange: config.exchange, topics: WORK_TOPICS }),
  logger,
  windowMax: MESSAGES_HELD_MAX, // So that no pass waits for the confirms of another.
})
const pauses = createPauseWatch({ db, own: 'relay', logger })
const isPaused = () => pauses.inForce('relay') !== undefined
const floors = createFloors()
const wake = createWakeSignal()
const listener = createRelayListener({ db, onNotify: wake.wake, onLost: floors.forget, logger })
const onConfirmed = registerConfirms(registry)
const traced = tracing.spans ? tracePublisher(publisher, tracing.spans, config.exchange) : publisher
const relay = createRelay({ db, publisher: traced, isPaused, floors, wake, onConfirmed, logger, passes: config.passes })
const backlogWatch = createBacklogWatch({ db, publisher, floors, isPaused, logger })
const routingWatch = createRoutingWatch({ connection, isPaused: pauses.isAny, logger, ...config })
registerPauses(registry, pauses)
registerRelay(registry, { db, connection, publisher, listener, routingWatch })

const facts = createFacts({ db, standbyRequired: config.standbyRequired, logger })
registerFacts(registry, facts)
const heartbeat = createHeartbeat({
  db,
  role: 'relay',
  version: VERSION,
  registry,
  queueDepths() {
    const seen = routingWatch.seen()
    return seen && { [config.queue]: seen.ready }
  },
  logger,
})

const components = [
  tracing,
  databaseComponent(db, logger),
  pauses,
  heartbeat,
  facts,
  connectionComponent(connection),
  publisher,
  listener,
  relay,
  backlogWatch,
  routingWatch,
  topologyComponent(publisher),
]
const admin = { ...config.admin, service: 'relay', registry, logger }
await runUntilSignal(withAdmin(components, admin), { logger, deadlineMs: 15_000 })

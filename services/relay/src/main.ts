import { createDatabase, databaseComponent, serviceSession } from '@cashflow/db'
import { WORK_TOPICS } from '@cashflow/domain'
import {
  connectionComponent,
  createConnection,
  createPublisher,
  topologyComponent,
  workQueue,
} from '@cashflow/messaging'
import { createFloors } from '@cashflow/outbox'
import { createLogger, loadConfig, runUntilSignal } from '@cashflow/runtime'
import { createBacklogWatch } from './backlog-watch.ts'
import { relayConfig } from './config.ts'
import { IDLE_IN_TRANSACTION_MS, MESSAGES_HELD_MAX } from './limits.ts'
import { createRelayListener } from './listener.ts'
import { createRelay } from './relay.ts'
import { createRoutingWatch } from './routing-watch.ts'
import { createWakeSignal } from './wake-signal.ts'

const config = loadConfig(relayConfig)
const logger = createLogger({ service: 'relay', level: config.logLevel })
const db = createDatabase({
  url: config.databaseUrl,
  applicationName: serviceSession('relay'),
  poolMax: config.passes + 3, // For promotion, for the check of the floors, and for the backlog watch.
  sandbox: config.sandbox,
  idleInTransactionMs: IDLE_IN_TRANSACTION_MS,
  logger,
})
const connection = createConnection({ urls: config.brokerUrls, name: 'cashflow-relay', logger })
const publisher = createPublisher({
  connection,
  topology: workQueue({ queue: config.queue, exchange: config.exchange, topics: WORK_TOPICS }),
  logger,
  windowMax: MESSAGES_HELD_MAX, // So that no pass waits for the confirms of another.
})
const floors = createFloors()
const wake = createWakeSignal()
const listener = createRelayListener({ db, onNotify: wake.wake, onLost: floors.forget, logger })
const relay = createRelay({ db, publisher, floors, wake, logger, passes: config.passes })
const backlogWatch = createBacklogWatch({ db, publisher, floors, logger })
const routingWatch = createRoutingWatch({ connection, logger, ...config })

const components = [
  databaseComponent(db, logger),
  connectionComponent(connection),
  publisher,
  listener,
  relay,
  backlogWatch,
  routingWatch,
  topologyComponent(publisher),
]
await runUntilSignal(components, { logger, deadlineMs: 15_000 })

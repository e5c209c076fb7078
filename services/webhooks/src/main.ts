import { createDatabase, createHeartbeat, createListener, databaseComponent, serviceSession } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import { createLogger, loadConfig, runUntilSignal, VERSION, withAdmin } from '@cashflow/runtime'
import { startTracing } from '@cashflow/tracing'
import { createSecretBox, createSender } from '@cashflow/webhook-sender'
import { Registry } from '@prometheus-io/client'
import { webhooksConfig } from './config.ts'
import { ATTEMPT_MS, IDLE_IN_TRANSACTION_MS } from './limits.ts'
import { registerAttempts, registerDisabled, registerFanOut, registerWebhooks } from './metrics.ts'
import { createWebhooks } from './webhooks.ts'

const DAY_MS = 86_400_000

const config = loadConfig(webhooksConfig)
const logger = createLogger({ service: 'webhooks', level: config.logLevel })
const tracing = await startTracing({ service: 'cashflow-webhooks', settings: config.tracing, logger })
const registry = new Registry()
const db = createDatabase({
  url: config.databaseUrl,
  applicationName: serviceSession('webhooks'),
  poolMax: 10, // For fan-out, claims, settlements (1 batch and 4 alone), replays, pruning and the heartbeat.
  sandbox: config.sandbox,
  standbyRequired: config.standbyRequired,
  idleInTransactionMs: IDLE_IN_TRANSACTION_MS,
  logger,
})
const sender = createSender({
  policy: config.addressPolicy,
  deadlineMs: ATTEMPT_MS,
  socketsPerHostMax: config.attemptsMax,
  idleSocketsMax: config.attemptsMax,
})
const secrets = createSecretBox(config.sealingKeys)
const keptMs = config.retentionDays * DAY_MS
const webhooks = createWebhooks({
  ...{ db, sender, secrets, keptMs, isSandbox: config.sandbox, logger },
  attemptsMax: config.attemptsMax,
  windowMax: config.windowMax,
  spans: tracing.spans,
  onAttempt: registerAttempts(registry),
  onFannedOut: registerFanOut(registry),
  onDisabled: registerDisabled(registry),
})
const listener = createListener({
  db,
  service: 'webhooks',
  channel: OUTBOX_CHANNEL, // Each event has a message.
  onNotify: webhooks.wake,
  onListen: webhooks.wake, // For events that were committed before LISTEN took effect.
  logger,
  otherwise: 'new events are found up to a second later',
})
registerWebhooks(registry, { db, listener, deliveries: webhooks })
const heartbeat = createHeartbeat({ db, role: 'webhooks', version: VERSION, registry, logger })

const components = [tracing, databaseComponent(db, logger), heartbeat, ...webhooks.components, listener]
const admin = { ...config.admin, service: 'webhooks', registry, logger }
await runUntilSignal(withAdmin(components, admin), { logger, deadlineMs: ATTEMPT_MS + 5_000 })

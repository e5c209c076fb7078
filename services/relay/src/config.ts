import {
  adminAddress,
  adminEnv,
  brokerEnv,
  brokerTls,
  brokerUrls,
  databaseEnv,
  databaseUrl,
  type Env,
  exchangeName,
  integer,
  isSandbox,
  loggingEnv,
  parseEnv,
  sandboxEnv,
  standbyEnv,
  withBrokerRules,
} from '@cashflow/runtime'
import { tracingEnv, tracingSettings } from '@cashflow/tracing'
import * as z from 'zod'

export const relayEnv = z.object({
  ...databaseEnv,
  ...standbyEnv,
  ...sandboxEnv,
  ...brokerEnv,
  ...loggingEnv,
  ...adminEnv,
  ...tracingEnv,
  RELAY_PASSES: integer({ min: 1, max: 16, default: 2 }),
})

/** The exchange of a relay with default settings. */
const FORMER_EXCHANGE = 'payments'

/** @throws ConfigError naming every setting that is not usable */
export function relayConfig(env: Env) {
  const settings = parseEnv(withBrokerRules(relayEnv), env)
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    sandbox: isSandbox(settings, env),
    standbyRequired: settings.REQUIRE_STANDBY === 'yes',
    brokerUrls: brokerUrls(settings),
    brokerTls: brokerTls(settings),
    queue: settings.MQ_QUEUE,
    exchange: exchangeName(settings),
    /** An exchange to which consumers may be bound although this relay does not publish there. */
    formerExchange:
      settings.MQ_EXCHANGE === undefined && settings.MQ_QUEUE !== FORMER_EXCHANGE ? FORMER_EXCHANGE : undefined,
    logLevel: settings.LOG_LEVEL,
    admin: adminAddress(settings),
    tracing: tracingSettings(settings),
    passes: settings.RELAY_PASSES,
  })
}

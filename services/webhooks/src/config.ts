import { defined } from '@cashflow/async'
import {
  adminAddress,
  adminEnv,
  areReadable,
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  isSandbox,
  loggingEnv,
  parseEnv,
  standbyEnv,
  webhookEnv,
  webhookRules,
} from '@cashflow/runtime'
import { tracingEnv, tracingSettings } from '@cashflow/tracing'
import { secretsEnv } from '@cashflow/webhook-sender'
import * as z from 'zod'

export const webhooksEnv = z.object({
  ...databaseEnv,
  ...standbyEnv,
  ...webhookEnv,
  ...secretsEnv,
  ...loggingEnv,
  ...adminEnv,
  ...tracingEnv,
  WEBHOOK_RETENTION: integer({ min: 1, max: 3_650, default: 30 }),
  // At least 4, so that a quarter of them is one socket for failing endpoints.
  WEBHOOK_CONCURRENCY: integer({ min: 4, max: 4_096, default: 256 }),
  WEBHOOK_WINDOW: integer({ min: 1, max: 1_024, default: 32 }),
})

/** @throws ConfigError naming every setting that is not usable */
export function webhooksConfig(env: Env) {
  const settings = parseEnv(checkedEnv(env), env)
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    sandbox: isSandbox(settings, env),
    standbyRequired: settings.REQUIRE_STANDBY === 'yes',
    logLevel: settings.LOG_LEVEL,
    admin: adminAddress(settings),
    tracing: tracingSettings(settings),
    /** The first one seals, all of them open. */
    sealingKeys: defined(settings.SECRETS_KEY, 'SECRETS_KEY'),
    addressPolicy: Object.freeze({ allowPrivate: settings.WEBHOOK_ALLOW_PRIVATE === 'yes' }),
    retentionDays: settings.WEBHOOK_RETENTION,
    /** Attempts in flight of this process. */
    attemptsMax: settings.WEBHOOK_CONCURRENCY,
    /** Attempts in flight of one endpoint, of all processes together. */
    windowMax: settings.WEBHOOK_WINDOW,
  })
}

/** The settings, with the rules that concern several of them. */
function checkedEnv(env: Env) {
  const { isPrivateAllowed, isKeySecret } = webhookRules(env)
  return webhooksEnv
    .refine(...isPrivateAllowed)
    .refine(...isKeySecret)
    .refine(({ SECRETS_KEY }) => SECRETS_KEY !== undefined, {
      path: ['SECRETS_KEY'],
      message: "is needed to sign webhooks: set the api's. To make the first one: openssl rand -base64 32",
      when: areReadable('SECRETS_KEY'),
    })
}

import { defined } from '@cashflow/async'
import {
  adminAddress,
  adminEnv,
  areReadable,
  brokerEnv,
  brokerTls,
  brokerUrls,
  certificateFile,
  databaseEnv,
  databaseUrl,
  type Env,
  exchangeName,
  integer,
  isProduction,
  isSandbox,
  loggingEnv,
  parseEnv,
  plainHttpUrl,
  providerEnv,
  providerKind,
  providerRules,
  redriveEnv,
  share,
  standbyEnv,
  withBrokerRules,
} from '@cashflow/runtime'
import { tracingEnv, tracingSettings } from '@cashflow/tracing'
import * as z from 'zod'
import type { ProviderSettings } from './provider/create-provider.ts'
import { PENDING_MAX_MS } from './release-plan.ts'

export const workerEnv = z
  .object({
    ...databaseEnv,
    ...standbyEnv,
    ...providerEnv,
    ...brokerEnv,
    ...loggingEnv,
    ...adminEnv,
    ...tracingEnv,
    ...redriveEnv,
    RECONCILE_INTERVAL_MS: integer({ min: 100, max: 600_000, default: 5_000 }),
    WORKER_PREFETCH: integer({ min: 1, max: 1_000, default: 100 }),
    PROVIDER_URL: plainHttpUrl.optional(),
    PROVIDER_TLS_CA: certificateFile.optional(),
    PROVIDER_TOKEN: z
      .string()
      .regex(/^[!-~]{1,4096}$/, 'must be up to 4096 printable ASCII characters without spaces')
      .optional(),
    PROVIDER_DELAY_MS: integer({ min: 0, max: 60_000, default: 2_000 }),
    PROVIDER_SUCCESS_RATE: share.default(0.7),
    PROVIDER_CHARGES_LOG: z.string().optional(),
    PROVIDER_DEADLINE_MS: integer({ min: 100, max: 60_000, default: 10_000 }),
    PROVIDER_CONCURRENCY: integer({ min: 1, max: 1_000, default: 100 }),
    PROVIDER_FAILURES_MAX: integer({ min: 1, max: 1_000, default: 10 }),
    PROVIDER_OPEN_MS: integer({ min: 100, max: 600_000, default: 5_000 }),
    PROVIDER_PENDING_MAX_MS: integer({ min: 1_000, max: 2_592_000_000, default: PENDING_MAX_MS }),
  })
  .refine((env) => env.PROVIDER === 'http' || env.PROVIDER_DELAY_MS < env.PROVIDER_DEADLINE_MS, {
    path: ['PROVIDER_DELAY_MS'],
    message: 'must be less than PROVIDER_DEADLINE_MS',
    when: areReadable('PROVIDER', 'PROVIDER_DELAY_MS', 'PROVIDER_DEADLINE_MS'),
  })
  .refine((env) => env.PROVIDER !== 'http' || env.PROVIDER_URL !== undefined, {
    path: ['PROVIDER_URL'],
    message: 'is needed with PROVIDER=http',
    when: areReadable('PROVIDER', 'PROVIDER_URL'),
  })
  .refine((env) => env.PROVIDER_TLS_CA === undefined || env.PROVIDER_URL?.startsWith('https:'), {
    path: ['PROVIDER_TLS_CA'],
    message: 'has no effect unless PROVIDER_URL is an https URL',
    when: areReadable('PROVIDER_TLS_CA', 'PROVIDER_URL'),
  })

/** The settings, with the rules that differ in production. */
function checkedEnv(env: Env) {
  const { isChosen, isAllowed } = providerRules(env)
  const production = isProduction(env)
  return withBrokerRules(workerEnv)
    .refine(...isChosen)
    .refine(...isAllowed)
    .refine(({ PROVIDER, PROVIDER_URL }) => !production || PROVIDER === 'http' || PROVIDER_URL === undefined, {
      path: ['PROVIDER'],
      message: 'must be http where PROVIDER_URL is set, with APP_ENV=production: chance would settle its payments',
      when: areReadable('PROVIDER', 'PROVIDER_URL', 'SANDBOX'),
    })
    .refine(
      (settings) =>
        settings.PROVIDER_CHARGES_LOG === undefined ||
        (isSandbox(settings, env) && providerKind(settings) === 'simulated'),
      {
        path: ['PROVIDER_CHARGES_LOG'],
        message: 'is for PROVIDER=simulated in a sandbox only',
        when: areReadable('PROVIDER', 'PROVIDER_CHARGES_LOG', 'SANDBOX'),
      },
    )
}

// Time to settle the last payments that were charged before a stop.
const SETTLE_MS = 5_000

/** @throws ConfigError that names every unusable setting */
export function workerConfig(env: Env) {
  const settings = parseEnv(checkedEnv(env), env)
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    sandbox: isSandbox(settings, env),
    standbyRequired: settings.REQUIRE_STANDBY === 'yes',
    brokerUrls: brokerUrls(settings),
    brokerTls: brokerTls(settings),
    queue: settings.MQ_QUEUE,
    exchange: exchangeName(settings),
    logLevel: settings.LOG_LEVEL,
    admin: adminAddress(settings),
    tracing: tracingSettings(settings),
    prefetch: settings.WORKER_PREFETCH,
    provider: providerSettings(settings),
    breaker: { failuresMax: settings.PROVIDER_FAILURES_MAX, openMs: settings.PROVIDER_OPEN_MS },
    chargesMax: settings.PROVIDER_CONCURRENCY,
    processing: {
      providerDeadlineMs: settings.PROVIDER_DEADLINE_MS,
      pendingMaxMs: settings.PROVIDER_PENDING_MAX_MS,
      redriveAfterMs: settings.REDRIVE_AFTER_MS,
    },
    /** Maximum time that a stop waits for the charges in flight and their settlements. */
    drainMs: settings.PROVIDER_DEADLINE_MS + SETTLE_MS,
    reconciling: { redriveAfterMs: settings.REDRIVE_AFTER_MS, intervalMs: settings.RECONCILE_INTERVAL_MS },
  })
}

function providerSettings(settings: z.output<typeof workerEnv>): ProviderSettings {
  if (providerKind(settings) === 'http')
    return {
      kind: 'http',
      url: defined(settings.PROVIDER_URL, 'PROVIDER_URL'),
      token: settings.PROVIDER_TOKEN,
      ca: settings.PROVIDER_TLS_CA,
    }
  const { PROVIDER_DELAY_MS: delayMs, PROVIDER_SUCCESS_RATE: successRate, PROVIDER_CHARGES_LOG: file } = settings
  return { kind: 'simulated', delayMs, successRate, ...(file !== undefined && { chargesFile: file }) }
}

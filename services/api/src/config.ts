import { isIPv4 } from 'node:net'
import { defined } from '@cashflow/async'
import { type Pepper, pepperEnv } from '@cashflow/db'
import { DELIVERY_SIMULATIONS, SIMULATIONS } from '@cashflow/domain'
import {
  adminAddress,
  adminEnv,
  areReadable,
  certificateFile,
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  isProduction,
  isSandbox,
  keyFile,
  listenHost,
  loggingEnv,
  pairFault,
  parseEnv,
  providerEnv,
  providerKind,
  providerRules,
  redriveEnv,
  share,
  standbyEnv,
  webhookEnv,
  webhookRules,
  yesOrNo,
} from '@cashflow/runtime'
import { tracingEnv, tracingSettings } from '@cashflow/tracing'
import { createSecretBox, secretsEnv } from '@cashflow/webhook-sender'
import * as z from 'zod'
import { readNetworks } from './client-address.ts'
import { consoleEnv, consoleSettings } from './console-settings.ts'
import type { WebhookSettings } from './webhooks/require-secrets.ts'

const networks = z.string().transform((text, context) => {
  const read = readNetworks(text)
  if (read) return read
  context.addIssue('must be networks such as 10.0.0.0/8,fd00::/8')
  return z.NEVER
})

/** A decision is made once, for a request. So each sampler is one of roots, whether its name begins with `parentbased_` or not. */
const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const
const sampler = z
  .string()
  .regex(
    new RegExp(`^(parentbased_)?(${SAMPLERS.join('|')})$`),
    `must be one of ${SAMPLERS.flatMap((name) => [name, `parentbased_${name}`]).join(', ')}`,
  )

const RATE_LIMIT_MAX = 100_000
/** The default with authentication. */
const RATE_LIMIT_OF_KEY = 100

/** 0 means no limit. */
const rateLimit = z
  .string()
  .regex(/^(off|\d{1,6})$/, 'must be a whole number, or off')
  .transform((text) => (text === 'off' ? 0 : Number(text)))
  .refine((limit) => limit <= RATE_LIMIT_MAX, `must be at most ${RATE_LIMIT_MAX}`)

export const apiEnv = z.object({
  ...databaseEnv,
  ...standbyEnv,
  ...providerEnv,
  ...loggingEnv,
  ...adminEnv,
  ...redriveEnv,
  HOST: listenHost.default('127.0.0.1'),
  PORT: integer({ min: 0, max: 65_535, default: 8080 }),
  API_TLS_CERT: certificateFile.optional(),
  API_TLS_KEY: keyFile.optional(),
  API_QUEUE_MAX: integer({ min: 1, max: 100_000, default: 1_000 }),
  RATE_LIMIT: rateLimit.optional(),
  TRUST_PROXY: networks.default([]),
  AUTH: z.enum(['api-key', 'none'], 'must be api-key or none').optional(),
  ALLOW_UNAUTHENTICATED: yesOrNo.default('no'),
  ...pepperEnv,
  ...secretsEnv,
  ...webhookEnv,
  ...consoleEnv,
  ...tracingEnv,
  OTEL_TRACES_SAMPLER: sampler.default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: share.default(1),
  TRUST_TRACEPARENT: yesOrNo.default('no'),
})

type ApiEnv = z.output<typeof apiEnv>

/** How the api finds out which merchant sends a request. */
export type AuthSettings =
  | { readonly kind: 'none' }
  | { readonly kind: 'api-key'; readonly peppers: readonly [Pepper, ...Pepper[]] }

/** @throws ConfigError that names every invalid setting */
export function apiConfig(env: Env) {
  const settings = parseEnv(checkedEnv(env), env)
  const auth = authSettings(settings, isProduction(env))
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    sandbox: isSandbox(settings, env),
    standbyRequired: settings.REQUIRE_STANDBY === 'yes',
    logLevel: settings.LOG_LEVEL,
    admin: adminAddress(settings),
    redriveAfterMs: settings.REDRIVE_AFTER_MS,
    host: settings.HOST,
    /** 0 means any free port. */
    port: settings.PORT,
    /** Paths of the PEM files for HTTPS. Undefined: plain HTTP. */
    certificate: settings.API_TLS_CERT === undefined ? undefined : pairOf(settings),
    /** Number of requests that may wait to write, and of those that may wait to read. */
    queueMax: settings.API_QUEUE_MAX,
    /** Requests a second for each client, 0 for no limit. */
    rateLimit: settings.RATE_LIMIT ?? (auth.kind === 'api-key' ? RATE_LIMIT_OF_KEY : 0),
    /** Networks of the proxies whose `X-Forwarded-For` counts. */
    trustProxy: settings.TRUST_PROXY,
    simulations: simulations(settings, env),
    tracing: tracingSettings(settings),
    sampling: { isTrusted: settings.TRUST_TRACEPARENT === 'yes', sampledShare: sampledShare(settings) },
    auth,
    /** Undefined without SECRETS_KEY. */
    webhooks: webhookSettings(settings),
    /** Undefined without CONSOLE_PORT. */
    console: consoleSettings(settings),
  })
}

function webhookSettings({ SECRETS_KEY: keys, WEBHOOK_ALLOW_PRIVATE: allowed }: ApiEnv): WebhookSettings | undefined {
  return keys && { box: createSecretBox(keys), policy: { allowPrivate: allowed === 'yes' } }
}

function pairOf({ API_TLS_CERT: cert, API_TLS_KEY: key }: Pick<ApiEnv, 'API_TLS_CERT' | 'API_TLS_KEY'>) {
  return { cert, key }
}

/** Share of the traces that are recorded, from 0 to 1. */
function sampledShare({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: ApiEnv): number {
  if (name.endsWith('traceidratio')) return ratio
  return name.endsWith('always_on') ? 1 : 0
}

/** Values that `metadata.simulate` may have. Undefined outside of a sandbox, where it is metadata like any other. */
function simulations(settings: ApiEnv, env: Env): ReadonlySet<string> | undefined {
  if (!isSandbox(settings, env)) return undefined
  return new Set(providerKind(settings) === 'simulated' ? SIMULATIONS : DELIVERY_SIMULATIONS)
}

/** The settings, with the rules that concern several of them. */
function checkedEnv(env: Env) {
  const { isChosen, isAllowed } = providerRules(env)
  const { isPrivateAllowed, isKeySecret } = webhookRules(env)
  const production = isProduction(env)
  return apiEnv
    .refine(...isChosen)
    .refine(...isAllowed)
    .refine(...isPrivateAllowed)
    .refine(...isKeySecret)
    .refine((settings) => certificateFault(settings) === undefined, {
      path: ['API_TLS_CERT'],
      error: ({ input }) => certificateFault(input as ApiEnv),
      when: areReadable('API_TLS_CERT', 'API_TLS_KEY'),
    })
    .refine((settings) => authKind(settings, production) === 'none' || settings.KEY_PEPPER !== undefined, {
      path: ['KEY_PEPPER'],
      message:
        'is needed with AUTH=api-key, the default with APP_ENV=production and where HOST is not this machine only',
      when: areReadable('AUTH', 'HOST', 'KEY_PEPPER'),
    })
    .refine((settings) => !production || settings.AUTH !== 'none' || settings.ALLOW_UNAUTHENTICATED === 'yes', {
      path: ['AUTH'],
      message: 'none needs ALLOW_UNAUTHENTICATED=yes with APP_ENV=production',
      when: areReadable('AUTH', 'ALLOW_UNAUTHENTICATED'),
    })
}

function certificateFault(settings: ApiEnv): string | undefined {
  return pairFault(pairOf(settings), { cert: 'API_TLS_CERT', key: 'API_TLS_KEY' })
}

function authKind({ AUTH, HOST }: Pick<ApiEnv, 'AUTH' | 'HOST'>, production: boolean): AuthSettings['kind'] {
  return AUTH ?? (isLoopback(HOST) && !production ? 'none' : 'api-key')
}

function authSettings(settings: ApiEnv, production: boolean): AuthSettings {
  const kind = authKind(settings, production)
  return kind === 'none' ? { kind } : { kind, peppers: defined(settings.KEY_PEPPER, 'KEY_PEPPER') }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

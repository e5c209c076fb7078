import { SIMULATIONS } from '@cashflow/domain'
import {
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  isProduction,
  isSandbox,
  listenHost,
  loggingEnv,
  parseEnv,
  redriveEnv,
  sandboxEnv,
} from '@cashflow/runtime'
import * as z from 'zod'
import { readNetworks } from './client-address.ts'

const networks = z.string().transform((text, context) => {
  const read = readNetworks(text)
  if (read) return read
  context.addIssue('must be networks such as 10.0.0.0/8,fd00::/8')
  return z.NEVER
})

const RATE_LIMIT_MAX = 100_000

/** 0 means no limit. */
const rateLimit = z
  .string()
  .regex(/^(off|\d{1,6})$/, 'must be a whole number, or off')
  .transform((text) => (text === 'off' ? 0 : Number(text)))
  .refine((limit) => limit <= RATE_LIMIT_MAX, `must be at most ${RATE_LIMIT_MAX}`)

export const apiEnv = z.object({
  ...databaseEnv,
  ...sandboxEnv,
  ...loggingEnv,
  ...redriveEnv,
  HOST: listenHost.default('127.0.0.1'),
  PORT: integer({ min: 0, max: 65_535, default: 8080 }),
  API_QUEUE_MAX: integer({ min: 1, max: 100_000, default: 1_000 }),
  RATE_LIMIT: rateLimit.default(0),
  TRUST_PROXY: networks.default([]),
  PROVIDER: z.enum(['simulated', 'http'], 'must be simulated or http').optional(),
})

/** @throws ConfigError that names every invalid setting */
export function apiConfig(env: Env) {
  const settings = parseEnv(apiEnv, env)
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    sandbox: isSandbox(settings, env),
    logLevel: settings.LOG_LEVEL,
    redriveAfterMs: settings.REDRIVE_AFTER_MS,
    host: settings.HOST,
    /** 0 means any free port. */
    port: settings.PORT,
    /** Number of requests that may wait to write, and of those that may wait to read. */
    queueMax: settings.API_QUEUE_MAX,
    /** Requests a second for each client, 0 for no limit. */
    rateLimit: settings.RATE_LIMIT,
    /** Networks of the proxies whose `X-Forwarded-For` counts. */
    trustProxy: settings.TRUST_PROXY,
    simulations: simulations(settings, env),
  })
}

/** Values that `metadata.simulate` may have. Undefined outside of a sandbox, where it is metadata like any other. */
function simulations(settings: z.output<typeof apiEnv>, env: Env): ReadonlySet<string> | undefined {
  if (!isSandbox(settings, env)) return undefined
  const provider = settings.PROVIDER ?? (isProduction(env) ? 'http' : 'simulated')
  return new Set(provider === 'simulated' ? SIMULATIONS : ['duplicate_delivery'])
}

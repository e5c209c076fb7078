import {
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  listenHost,
  loggingEnv,
  parseEnv,
  redriveEnv,
} from '@cashflow/runtime'
import * as z from 'zod'

export const apiEnv = z.object({
  ...databaseEnv,
  ...loggingEnv,
  ...redriveEnv,
  HOST: listenHost.default('127.0.0.1'),
  PORT: integer({ min: 0, max: 65_535, default: 8080 }),
  API_QUEUE_MAX: integer({ min: 1, max: 100_000, default: 1_000 }),
})

/** @throws ConfigError that names every invalid setting */
export function apiConfig(env: Env) {
  const settings = parseEnv(apiEnv, env)
  return Object.freeze({
    databaseUrl: databaseUrl(settings),
    logLevel: settings.LOG_LEVEL,
    redriveAfterMs: settings.REDRIVE_AFTER_MS,
    host: settings.HOST,
    /** 0 means any free port. */
    port: settings.PORT,
    /** Number of requests that may wait to write, and of those that may wait to read. */
    queueMax: settings.API_QUEUE_MAX,
  })
}

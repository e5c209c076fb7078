import {
  brokerEnv,
  brokerUrls,
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  listenHost,
  loggingEnv,
  parseEnv,
} from '@cashflow/runtime'
import * as z from 'zod'
import type { LogLevel } from './log-printer.ts'

const schema = z.object({
  ...databaseEnv,
  ...brokerEnv,
  ...loggingEnv,
  HOST: listenHost.default('127.0.0.1'),
  PORT: integer({ min: 0, max: 65_535, default: 8080 }),
})

export interface StackSettings {
  /** Servers that the environment names. The stack starts the others. */
  given: { databaseUrl?: string; rabbitmqUrl?: string }
  databaseName: string
  host: string
  /** Preferred port of the first API. With 0 each API gets a free one. */
  port: number
  /** True if PORT is set. The start fails if that port is taken; the default port is replaced by another. */
  portIsGiven: boolean
  logLevel: LogLevel
}

/** @throws ConfigError that names every invalid variable */
export function stackSettings(env: Env): StackSettings {
  const settings = parseEnv(schema, env)
  return {
    given: {
      ...((env.DATABASE_URL || env.DB_HOST) && { databaseUrl: databaseUrl(settings) }),
      ...((env.RABBITMQ_URL || env.MQ_HOST) && { rabbitmqUrl: brokerUrls(settings).join(',') }),
    },
    databaseName: settings.DB_NAME,
    host: settings.HOST,
    port: settings.PORT,
    portIsGiven: Boolean(env.PORT),
    logLevel: settings.LOG_LEVEL,
  }
}

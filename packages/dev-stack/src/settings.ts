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

export type StackSettings = {
  /** Servers that run elsewhere; those that are missing are ours to start. */
  given: { databaseUrl?: string; rabbitmqUrl?: string }
  databaseName: string
  host: string
  /** 0 is any free port. */
  port: number
  /** A port that was asked for is used or refused; a default gives way. */
  portIsGiven: boolean
  logLevel: LogLevel
}

/** @throws ConfigError naming every variable that is not usable */
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

import {
  brokerEnv,
  brokerUrls,
  databaseEnv,
  databaseUrl,
  type Env,
  integer,
  isSandbox,
  listenHost,
  loggingEnv,
  parseEnv,
  providerEnv,
  providerKind,
  withBrokerRules,
} from '@cashflow/runtime'
import * as z from 'zod'

const CONSOLE_PORT = 8090

const schema = z.object({
  ...databaseEnv,
  ...providerEnv,
  ...brokerEnv,
  ...loggingEnv,
  HOST: listenHost.default('127.0.0.1'),
  PORT: integer({ min: 0, max: 65_535, default: 8080 }),
  API_TLS_CERT: z.string().optional(),
  CONSOLE_HOST: listenHost.default('127.0.0.1'),
  CONSOLE_PORT: integer({ min: 0, max: 65_535, default: CONSOLE_PORT }),
})

/**
 * Empty settings for migrate and the services. They get the URLs of their servers, which no file may name as well. TLS is
 * not for a server that the stack starts.
 */
export const READ_BY_STACK = {
  DATABASE_URL_FILE: '',
  RABBITMQ_URL_FILE: '',
  DB_SSLMODE: '',
  DB_SSLROOTCERT: '',
  DB_SSLCERT: '',
  DB_SSLKEY: '',
} as const

/** Empty settings for services whose RabbitMQ the stack starts: it has no TLS. */
export const WITHOUT_BROKER_TLS = {
  MQ_TLS: '',
  MQ_TLS_CA: '',
  MQ_TLS_CERT: '',
  MQ_TLS_KEY: '',
  MQ_TLS_SERVERNAME: '',
} as const

export type StackSettings = ReturnType<typeof stackSettings>

/** @throws ConfigError that names every invalid variable */
export function stackSettings(env: Env) {
  const settings = parseEnv(withBrokerRules(schema), env)
  return {
    /** Servers that the environment names. The stack starts the others. */
    given: {
      ...((env.DATABASE_URL || env.DB_HOST) && { databaseUrl: databaseUrl(settings) }),
      ...((env.RABBITMQ_URL || env.MQ_HOST) && { rabbitmqUrl: brokerUrls(settings).join(',') }),
    },
    databaseName: settings.DB_NAME,
    sandbox: isSandbox(settings, env),
    isProviderSimulated: providerKind(settings) === 'simulated',
    host: settings.HOST,
    apiScheme: settings.API_TLS_CERT === undefined ? 'http' : 'https',
    /** Preferred port of the first API. With 0 each API gets a free one. */
    port: settings.PORT,
    /** True if PORT is set. The start fails if that port is taken; the default port is replaced by another. */
    portIsGiven: Boolean(env.PORT),
    consoleHost: settings.CONSOLE_HOST,
    /** Preferred port of the console. 0 is any free one, as it is with PORT=0 and no CONSOLE_PORT. */
    consolePort: settings.PORT === 0 && !env.CONSOLE_PORT ? 0 : settings.CONSOLE_PORT,
    logLevel: settings.LOG_LEVEL,
  }
}

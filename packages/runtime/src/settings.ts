import * as z from 'zod'
import { AddressError, isPort, parseHosts, withPorts } from './address.ts'
import { checkDatabaseName, formatDatabaseUrl, readDatabaseUrl } from './database-url.ts'
import { integer } from './env.ts'

/** The settings that several services share, as zod shapes to spread into a service's own schema. */

function isUrl(value: string, protocols: readonly string[]): boolean {
  return URL.canParse(value) && protocols.includes(new URL(value).protocol)
}

export const loggingEnv = {
  LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug'], 'must be error, warn, info or debug').default('info'),
}

export const redriveEnv = {
  REDRIVE_AFTER_MS: integer({ min: 100, max: 3_600_000, default: 60_000 }),
}

/** A text that `read` takes without an AddressError. */
function readable(read: (text: string) => unknown) {
  return z.string().superRefine((value, context) => {
    try {
      read(value)
    } catch (error) {
      if (!(error instanceof AddressError)) throw error
      context.addIssue(error.message)
    }
  })
}

const port = z.string().trim().refine(isPort, 'must be a port, 1 to 65535')

export const databaseEnv = {
  DATABASE_URL: readable(readDatabaseUrl).optional(),
  DB_HOST: readable(parseHosts).default('localhost'),
  DB_PORT: port.default('5432'),
  DB_USER: z.string().default('postgres'),
  DB_PASSWORD: z.string().default('postgres'),
  DB_NAME: readable(checkDatabaseName).default('payments'),
}

type DatabaseEnv = z.output<z.ZodObject<typeof databaseEnv>>

/**
 * `DATABASE_URL` where it is given, else one made of the `DB_` parts. It may name several hosts: `hostUrls` makes one
 * URL for each of them.
 */
export function databaseUrl(env: DatabaseEnv): string {
  if (env.DATABASE_URL) return formatDatabaseUrl(readDatabaseUrl(env.DATABASE_URL))
  const { DB_USER: user, DB_PASSWORD: password, DB_NAME: path } = env
  const hosts = withPorts(parseHosts(env.DB_HOST), env.DB_PORT)
  return formatDatabaseUrl({ scheme: 'postgres', user, password, hosts, path, query: new URLSearchParams() })
}

/** Of a queue or an exchange. `<queue>.dead` is the name of another queue and of another exchange. */
const brokerName = z
  .string()
  .max(200, 'must have at most 200 characters')
  .regex(/\S/, 'must not be blank')
  .refine((value) => !value.startsWith('amq.'), 'must not begin with amq., which RabbitMQ keeps for itself')
  .refine((value) => !value.endsWith('.dead'), 'must not end with .dead, which names what a queue rejects')

export const brokerEnv = {
  RABBITMQ_URL: z
    .string()
    .refine(
      (value) => value.split(',').every((url) => isUrl(url.trim(), ['amqp:', 'amqps:'])),
      'must be amqp:// URLs, separated by commas',
    )
    .optional(),
  MQ_HOST: z.string().default('localhost'),
  MQ_PORT: port.default('5672'),
  MQ_USER: z.string().default('guest'),
  MQ_PASSWORD: z.string().default('guest'),
  MQ_QUEUE: brokerName.default('payments'),
  MQ_EXCHANGE: brokerName.optional(),
}

type BrokerEnv = z.output<z.ZodObject<typeof brokerEnv>>

/** The exchange that messages are published to: by default it has the queue's name, so that two systems share none. */
export function exchangeName(env: Pick<BrokerEnv, 'MQ_QUEUE' | 'MQ_EXCHANGE'>): string {
  return env.MQ_EXCHANGE ?? env.MQ_QUEUE
}

/** The nodes of `RABBITMQ_URL` where it is given, else one made of the `MQ_` parts. */
export function brokerUrls(env: BrokerEnv): readonly string[] {
  if (env.RABBITMQ_URL) return env.RABBITMQ_URL.split(',').map((url) => url.trim())
  const login = `${encodeURIComponent(env.MQ_USER)}:${encodeURIComponent(env.MQ_PASSWORD)}`
  return [`amqp://${login}@${env.MQ_HOST}:${env.MQ_PORT}/`]
}

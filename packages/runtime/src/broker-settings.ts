import { isIP } from 'node:net'
import * as z from 'zod'
import { formatAddress, withPorts } from './address.ts'
import { readBrokerHosts, readBrokerUrls } from './broker-url.ts'
import { certificateFile, createCertificates, keyFile, pairFault } from './certificates.ts'
import { areReadable } from './env.ts'
import type { Logger } from './logger.ts'
import { port, readable, yesOrNo } from './settings.ts'

/** The name of a queue or an exchange. `<queue>.dead` is reserved for the queue and the exchange of dead letters. */
const brokerName = z
  .string()
  .max(200, 'must have at most 200 characters')
  .regex(/\S/, 'must not be blank')
  .refine((value) => !value.startsWith('amq.'), 'must not begin with amq., which RabbitMQ reserves')
  .refine((value) => !value.endsWith('.dead'), 'must not end with .dead, which is reserved for dead letters')

/** A name that TLS can send (RFC 6066 §3): not an IP address. */
const serverName = z
  .string()
  .trim()
  .refine((name) => /^[a-z0-9_.-]+$/i.test(name) && isIP(name) === 0, 'must be a host name, not an address')

/** The settings of RabbitMQ. Parse them with `withBrokerRules`. */
export const brokerEnv = {
  RABBITMQ_URL: readable(readBrokerUrls).optional(),
  MQ_HOST: readable(readBrokerHosts).default('localhost'),
  MQ_PORT: port.default('5672'),
  MQ_USER: z.string().default('guest'),
  MQ_PASSWORD: z.string().default('guest'),
  MQ_TLS: yesOrNo.default('no'),
  MQ_TLS_CA: certificateFile.optional(),
  MQ_TLS_CERT: certificateFile.optional(),
  MQ_TLS_KEY: keyFile.optional(),
  MQ_TLS_SERVERNAME: serverName.optional(),
  MQ_QUEUE: brokerName.default('payments'),
  MQ_EXCHANGE: brokerName.optional(),
}

type BrokerEnv = z.output<z.ZodObject<typeof brokerEnv>>

const TLS_NAMES = ['MQ_TLS_CA', 'MQ_TLS_CERT', 'MQ_TLS_KEY', 'MQ_TLS_SERVERNAME'] as const

/** One fault for each path. `undefined` where the settings fit together. */
const RULES: readonly { path: string; reads: string[]; fault: (env: BrokerEnv) => string | undefined }[] = [
  {
    path: 'MQ_TLS',
    reads: ['MQ_TLS', 'RABBITMQ_URL'],
    fault: (env) =>
      env.MQ_TLS === 'yes' && schemes(env).includes('amqp')
        ? 'yes needs amqps:// in RABBITMQ_URL, which takes precedence over MQ_HOST'
        : undefined,
  },
  ...TLS_NAMES.map((name) => ({
    path: name,
    reads: ['MQ_TLS', 'RABBITMQ_URL', name],
    fault: (env: BrokerEnv) =>
      env[name] !== undefined && !schemes(env).includes('amqps')
        ? 'has no effect without TLS: set MQ_TLS=yes, or amqps:// in RABBITMQ_URL'
        : undefined,
  })),
  {
    path: 'MQ_TLS_CERT',
    reads: ['MQ_TLS_CERT', 'MQ_TLS_KEY'],
    fault: (env) =>
      pairFault({ cert: env.MQ_TLS_CERT, key: env.MQ_TLS_KEY }, { cert: 'MQ_TLS_CERT', key: 'MQ_TLS_KEY' }),
  },
]

/** Adds the rules that concern several settings of RabbitMQ to a schema that has all of them. */
export function withBrokerRules<Schema extends z.ZodType<BrokerEnv>>(schema: Schema): Schema {
  return RULES.reduce(
    (checked, { path, reads, fault }) =>
      checked.refine((env) => fault(env) === undefined, {
        path: [path],
        error: ({ input }) => fault(input as BrokerEnv),
        when: areReadable(...reads),
      }),
    schema,
  )
}

/** Name of the exchange that messages are published to. By default it is the queue's, so that two systems share no exchange. */
export function exchangeName(env: Pick<BrokerEnv, 'MQ_QUEUE' | 'MQ_EXCHANGE'>): string {
  return env.MQ_EXCHANGE ?? env.MQ_QUEUE
}

/** Returns one URL for each broker, from `RABBITMQ_URL` if it is set, else from the `MQ_` settings. */
export function brokerUrls(env: BrokerEnv): readonly string[] {
  if (env.RABBITMQ_URL) return readBrokerUrls(env.RABBITMQ_URL).map((address) => formatAddress(address))
  const { MQ_USER: user, MQ_PASSWORD: password } = env
  const hosts = withPorts(readBrokerHosts(env.MQ_HOST), env.MQ_PORT)
  const [scheme = ''] = schemes(env)
  const rest = { scheme, user, password, path: '', query: new URLSearchParams() }
  return hosts.map((host) => formatAddress({ ...rest, hosts: [host] }))
}

function schemes(env: BrokerEnv): readonly string[] {
  if (env.RABBITMQ_URL) return readBrokerUrls(env.RABBITMQ_URL).map(({ scheme }) => scheme)
  return [env.MQ_TLS === 'yes' ? 'amqps' : 'amqp']
}

export type BrokerTls = ReturnType<typeof brokerTls>

/** What TLS to RabbitMQ uses: paths of PEM files, and the name that the broker's certificate must have. */
export function brokerTls(env: BrokerEnv) {
  return { ca: env.MQ_TLS_CA, cert: env.MQ_TLS_CERT, key: env.MQ_TLS_KEY, servername: env.MQ_TLS_SERVERNAME }
}

/** The options of TLS for each new connection to RabbitMQ, with the files as they are when it begins. */
export function createBrokerTls({ servername, ...paths }: BrokerTls, logger: Logger) {
  const certificates = createCertificates(paths, { what: 'RabbitMQ', logger })
  return () => ({ ...certificates.read(), ...(servername !== undefined && { servername }) })
}

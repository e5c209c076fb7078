import { isIP } from 'node:net'
import * as z from 'zod'
import { type Address, AddressError, isPort, parseHosts, withPorts } from './address.ts'
import { certificateFile, keyFile } from './certificates.ts'
import { checkRootCertificate, checkTlsMode, TLS_SETTINGS, TlsParameterError } from './database-tls.ts'
import { checkDatabaseName, formatDatabaseUrl, readDatabaseUrl, splitTls } from './database-url.ts'
import { ConfigError, type Env, integer, isProduction } from './env.ts'

/** The settings that several services share, as zod shapes to spread into a service's own schema. */

/** An address that a server listens on, without the brackets of an IPv6 address. */
export const listenHost = z
  .string()
  .trim()
  .transform((value) => value.replace(/^\[(.*)\]$/, '$1'))
  .refine(
    (value) => isIP(value) !== 0 || /^[a-z0-9_.-]+$/i.test(value),
    'must be an address of this machine without a port, such as 127.0.0.1, 0.0.0.0 or ::',
  )

export const loggingEnv = {
  LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug'], 'must be error, warn, info or debug').default('info'),
}

export const adminEnv = {
  ADMIN_HOST: listenHost.default('127.0.0.1'),
  ADMIN_PORT: integer({ min: 0, max: 65_535, default: 0 }),
}

/** Where a process serves its metrics and probes. */
export function adminAddress({ ADMIN_HOST: host, ADMIN_PORT: port }: z.output<z.ZodObject<typeof adminEnv>>) {
  return { host, port }
}

export const redriveEnv = {
  REDRIVE_AFTER_MS: integer({ min: 100, max: 3_600_000, default: 60_000 }),
}

/** A URL to which paths are appended, and which is logged: it has no query, fragment or credentials. */
export const plainHttpUrl = z
  .string()
  .refine(isPlainHttpUrl, 'must be an http or https URL without credentials, query and fragment')

function isPlainHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  if (!url || !['http:', 'https:'].includes(url.protocol)) return false
  return !url.username && !url.password && !/[?#]/.test(text)
}

/** A number from 0 to 1. */
export const share = z
  .string()
  .regex(/^(0|1|0?\.\d{1,6}|0\.0+|1\.0+)$/, 'must be a number from 0 to 1')
  .transform(Number)

export const yesOrNo = z.enum(['yes', 'no'], 'must be yes or no')

export const sandboxEnv = {
  SANDBOX: yesOrNo.optional(),
}

/** Of each service, because each one commits what must survive the loss of the primary. */
export const standbyEnv = {
  REQUIRE_STANDBY: yesOrNo.default('no'),
}

/** True where no money may move. Without `SANDBOX` that is everywhere except in production. */
export function isSandbox({ SANDBOX }: z.output<z.ZodObject<typeof sandboxEnv>>, env: Env): boolean {
  return SANDBOX === undefined ? !isProduction(env) : SANDBOX === 'yes'
}

/** A text that `read` accepts: it throws no AddressError. */
export function readable(read: (text: string) => unknown, reasonOf = (error: AddressError) => error.message) {
  return z.string().superRefine((value, context) => {
    try {
      read(value)
    } catch (error) {
      if (!(error instanceof AddressError)) throw error
      context.addIssue(reasonOf(error))
    }
  })
}

const withoutParameter = (error: AddressError) => (error instanceof TlsParameterError ? error.reason : error.message)

export const port = z.string().trim().refine(isPort, 'must be a port, 1 to 65535')

export const databaseEnv = {
  DATABASE_URL: readable(readDatabaseUrl).optional(),
  DB_HOST: readable(parseHosts).default('localhost'),
  DB_PORT: port.default('5432'),
  DB_USER: z.string().default('postgres'),
  DB_PASSWORD: z.string().default('postgres'),
  DB_NAME: readable(checkDatabaseName).default('payments'),
  DB_SSLMODE: readable(checkTlsMode, withoutParameter).optional(),
  DB_SSLROOTCERT: readable(checkRootCertificate, withoutParameter).optional(),
  DB_SSLCERT: certificateFile.optional(),
  DB_SSLKEY: keyFile.optional(),
}

type DatabaseEnv = z.output<z.ZodObject<typeof databaseEnv>>

/**
 * Returns `DATABASE_URL` if it is set, else a URL made of the `DB_` settings. It may name several hosts: `hostUrls` makes
 * one URL for each of them. What the settings say about TLS becomes parameters of the URL, unless it has them.
 *
 * @throws ConfigError if settings about TLS do not fit together
 */
export function databaseUrl(env: DatabaseEnv): string {
  const address = env.DATABASE_URL ? readDatabaseUrl(env.DATABASE_URL) : addressOfParts(env)
  const given = new Set(address.query.keys())
  for (const [parameter, setting] of Object.entries(TLS_SETTINGS)) {
    const value = env[setting]
    if (value !== undefined && !given.has(parameter)) address.query.set(parameter, value)
  }
  const url = formatDatabaseUrl(address)
  try {
    splitTls(url)
  } catch (error) {
    if (!(error instanceof TlsParameterError)) throw error
    const { parameter, reason } = error
    const isOfUrl = given.has(parameter) || !(parameter in TLS_SETTINGS)
    const name = isOfUrl
      ? `DATABASE_URL: parameter ${parameter}`
      : `${TLS_SETTINGS[parameter as keyof typeof TLS_SETTINGS]}:`
    throw new ConfigError([`${name} ${reason}`])
  }
  return formatDatabaseUrl(readDatabaseUrl(url))
}

function addressOfParts(env: DatabaseEnv): Address {
  const { DB_USER: user, DB_PASSWORD: password, DB_NAME: path } = env
  const hosts = withPorts(parseHosts(env.DB_HOST), env.DB_PORT)
  return { scheme: 'postgres', user, password, hosts, path, query: new URLSearchParams() }
}

import { readFileSync } from 'node:fs'
import { parseEnv as parseEnvFile } from 'node:util'
import * as z from 'zod'
import { outliveOutput } from './log-output.ts'
import { readSmallFile } from './small-file.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Invalid settings. The message names every one of them, and shows no value, which may be a password. */
export class ConfigError extends Error {
  readonly code = 'config_invalid'

  /** @param faults one for each variable: its name, a colon, the reason */
  constructor(faults: readonly string[]) {
    super(['These settings are not usable:', ...faults].join('\n  '))
  }
}

/** True in production, where `.env` is not read. */
export function isProduction({ APP_ENV }: Env): boolean {
  if (APP_ENV !== 'production' && /^\W*prod/i.test(APP_ENV ?? ''))
    throw new ConfigError(['APP_ENV: must be spelt production, or be another word'])
  return APP_ENV === 'production'
}

/** Loads a process's configuration. An invalid one ends the process with one message and no stack trace. */
export function loadConfig<Config>(parse: (env: Env) => Config): Config {
  outliveOutput()
  try {
    return readConfig(parse)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/** Settings that hold a secret. A variable with `_FILE` after the name may name a file with the value instead. */
export const SECRETS = [
  'DATABASE_URL',
  'DB_PASSWORD',
  'RABBITMQ_URL',
  'MQ_PASSWORD',
  'PROVIDER_TOKEN',
  'KEY_PEPPER',
  'SECRETS_KEY',
  'CONSOLE_TOKEN',
  'OTEL_EXPORTER_OTLP_HEADERS',
] as const

/**
 * Reads a process's configuration, once.
 *
 * @param parse gets the environment with the secrets from files, and the names of those variables that `.env` has set
 * @throws ConfigError
 */
export function readConfig<Config>(parse: (env: Env, fromFile: ReadonlySet<string>) => Config): Config {
  const fromFile = new Set<string>()
  if (isProduction(process.env)) checkCertificates(process.env)
  else {
    for (const [name, value] of Object.entries(readEnvFile('.env'))) {
      // Variables that are set win, also if they are empty.
      if (process.env[name] !== undefined) continue
      process.env[name] = value
      fromFile.add(name)
    }
  }
  const env = withSecrets(process.env)
  checkPgSslMode(env)
  return parse(env, fromFile)
}

/** libpq's variable. An operator who has set it expects TLS, and would have none. */
function checkPgSslMode({ PGSSLMODE, DB_SSLMODE, DATABASE_URL = '' }: Env): void {
  if (PGSSLMODE && !DB_SSLMODE && !/[?&]sslmode=/.test(DATABASE_URL))
    throw new ConfigError(['PGSSLMODE: is not read. Set DB_SSLMODE instead'])
}

/**
 * Adds the secrets whose files the environment names. They are not stored in `process.env`, which child processes get.
 *
 * @throws ConfigError that names every file that cannot be used
 */
export function withSecrets(env: Env): Env {
  const faults: string[] = []
  const secrets = SECRETS.flatMap((name) => {
    const file = env[`${name}_FILE`]
    if (!file) return []
    const { value, fault } = env[name] ? { fault: `must not be set together with ${name}` } : readSecret(file)
    if (fault !== undefined) faults.push(`${name}_FILE: ${fault}`)
    return [[name, value]]
  })
  if (faults.length > 0) throw new ConfigError(faults)
  return { ...env, ...Object.fromEntries(secrets) }
}

function readSecret(file: string): { value?: string; fault?: string } {
  try {
    const value = new TextDecoder('utf-8', { fatal: true }).decode(readSmallFile(file)).replace(/\r?\n$/, '')
    return value === '' ? { fault: 'must name a file that is not empty' } : { value }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // Without the path: an operator may have given the secret itself.
    return { fault: code === NOT_UTF8 ? 'must name a text in UTF-8' : `must name a file that can be read: ${message}` }
  }
}

/** Node ignores certificates that it cannot read. Docker makes a folder if the file to mount is missing. */
function checkCertificates({ NODE_EXTRA_CA_CERTS: file }: Env): void {
  try {
    if (file) readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError([`NODE_EXTRA_CA_CERTS: must name a file that can be read: ${code}, ${file}`])
  }
}

/**
 * Parses the environment into frozen settings. An empty variable counts as unset. Line breaks at the end of a value are
 * ignored, because a file that holds a secret often ends with one.
 *
 * @throws ConfigError that names every invalid variable
 */
export function parseEnv<Schema extends z.ZodType>(schema: Schema, env: Env): Readonly<z.output<Schema>> {
  const values = Object.entries(env).map(([name, value]) => [name, value?.replace(/[\r\n]+$/, '')] as const)
  const result = schema.safeParse(Object.fromEntries(values.filter(([, value]) => value)))
  if (!result.success)
    throw new ConfigError(result.error.issues.map(({ path, message }) => `${path.join('.') || 'settings'}: ${message}`))
  // Node replaces bytes that are no UTF-8 by U+FFFD.
  const garbled = Object.keys(result.data as object).filter((name) => env[name]?.includes('\ufffd'))
  if (garbled.length > 0) throw new ConfigError(garbled.map((name) => `${name}: must be a text in UTF-8`))
  return Object.freeze(result.data)
}

/**
 * The `when` of a refinement that compares settings: true if these are valid, even if others are not. One message then names
 * all problems.
 */
export function areReadable(...names: string[]) {
  return ({ issues }: z.core.ParsePayload) => issues.every(({ path }) => !names.includes(String(path?.[0])))
}

/** A whole number in plain decimal digits. `0x10`, `1e3` and a blank are invalid. */
export function integer(bounds: { min: number; max: number; default: number }) {
  return z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= bounds.min && value <= bounds.max, `must lie between ${bounds.min} and ${bounds.max}`)
    .default(bounds.default)
}

const NOT_UTF8 = 'ERR_ENCODING_INVALID_ENCODED_DATA'
const QUOTED = /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=)[ \t]*(["'`])([\s\S]*?)\2(.*)$/gm
const COMMENT = /^[ \t]*(#.*)?$/
const ASSIGNMENT = /^[ \t]*(export[ \t]+)?[\w.-]+[ \t]*=.*$/

/**
 * Reads the variables of a file with lines `NAME=value`, in UTF-8 with or without a byte order mark. A missing file has none.
 *
 * @throws ConfigError that names the file, and the first line that Node's parser would ignore silently
 */
export function readEnvFile(file: string): NodeJS.Dict<string> {
  const text = readText(file).replaceAll('\r\n', '\n')
  // A quoted value may have several lines. Only a comment may follow it.
  const unquoted = text.replace(QUOTED, (_all, name: string, _quote, value: string, rest: string) => {
    const lines = value.replace(/[^\n]+/g, '')
    return COMMENT.test(rest) ? `${name}${lines.replaceAll('\n', '\n#')}` : `?${lines}`
  })
  const lost = unquoted.split('\n').findIndex((line) => !COMMENT.test(line) && !ASSIGNMENT.test(line))
  if (lost >= 0) throw new ConfigError([`${file}: line ${lost + 1} is not NAME=value`])
  return parseEnvFile(text)
}

function readText(file: string): string {
  try {
    // TextDecoder drops a byte order mark.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
    if (!text.includes('\0')) return text // A NUL is half of a UTF-16 character.
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return ''
    if (code !== NOT_UTF8) throw new ConfigError([`${file}: cannot be read: ${code}`])
  }
  throw new ConfigError([`${file}: must be a text in UTF-8`])
}

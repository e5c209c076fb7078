import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { ConfigError } from './config-error.ts'
import { readEnvFile } from './env-file.ts'
import { outliveOutput } from './log-output.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** Whether this process runs in production, where `.env` is not read and nothing is left to chance. */
export function isProduction({ APP_ENV }: Env): boolean {
  if (APP_ENV !== 'production' && /^\W*prod/i.test(APP_ENV ?? ''))
    throw new ConfigError(['APP_ENV: must be spelt production, or be another word'])
  return APP_ENV === 'production'
}

/** A process's configuration, read once. One that is not usable ends the process with one message and no stack trace. */
export function loadConfig<Config>(parse: (env: Env) => Config): Config {
  outliveOutput()
  try {
    if (isProduction(process.env)) checkCertificates(process.env)
    else {
      // Variables that are set already win, the empty ones too.
      for (const [name, value] of Object.entries(readEnvFile('.env'))) process.env[name] ??= value
    }
    return parse(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/** Node goes on without certificates that it cannot read. Docker makes a folder where a file to mount is missing. */
function checkCertificates({ NODE_EXTRA_CA_CERTS: file }: Env): void {
  try {
    if (file) readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError([`NODE_EXTRA_CA_CERTS: must name a file that can be read: ${code}, ${file}`])
  }
}

/**
 * Parses the environment once; the result is frozen. An empty variable counts as unset. Line breaks at the end of a value
 * are left out: a file that holds a secret often ends with one.
 *
 * @throws ConfigError naming every bad variable
 */
export function parseEnv<Schema extends z.ZodType>(schema: Schema, env: Env): Readonly<z.output<Schema>> {
  const values = Object.entries(env).map(([name, value]) => [name, value?.replace(/[\r\n]+$/, '')] as const)
  const result = schema.safeParse(Object.fromEntries(values.filter(([, value]) => value)))
  if (!result.success)
    throw new ConfigError(result.error.issues.map(({ path, message }) => `${path.join('.') || 'settings'}: ${message}`))
  // Node puts U+FFFD where a variable has bytes that are no UTF-8.
  const garbled = Object.keys(result.data as object).filter((name) => env[name]?.includes('\ufffd'))
  if (garbled.length > 0) throw new ConfigError(garbled.map((name) => `${name}: must be a text in UTF-8`))
  return Object.freeze(result.data)
}

/** A whole number in plain decimal digits: neither `0x10`, `1e3` nor a blank is one. */
export function integer(bounds: { min: number; max: number; default: number }) {
  return z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= bounds.min && value <= bounds.max, `must lie between ${bounds.min} and ${bounds.max}`)
    .default(bounds.default)
}

import { existsSync } from 'node:fs'
import { loadEnvFile as loadFile } from 'node:process'
import * as z from 'zod'

/** Names every variable that is wrong, and never shows a value: one of them may be a password. */
export class ConfigError extends Error {
  readonly code = 'config_invalid'
}

export type Env = Readonly<Record<string, string | undefined>>

/** Reads `.env` of the working directory into process.env, where variables that are set already win. Production skips it. */
export function loadEnvFile(env: Env): void {
  if (env.APP_ENV !== 'production' && existsSync('.env')) loadFile('.env')
}

/** A process's configuration, read once. One that is not usable ends the process with one message and no stack trace. */
export function loadConfig<Config>(parse: (env: Env) => Config): Config {
  loadEnvFile(process.env)
  try {
    return parse(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

/**
 * Parses the environment once; the result is frozen. An empty variable counts as unset.
 *
 * @throws ConfigError naming every bad variable
 */
export function parseEnv<Schema extends z.ZodType>(schema: Schema, env: Env): Readonly<z.output<Schema>> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const result = schema.safeParse(given)
  if (result.success) return Object.freeze(result.data)
  const lines = result.error.issues.map((issue) => `  ${issue.path.join('.') || 'settings'}: ${issue.message}`)
  throw new ConfigError(`These settings are not usable:\n${lines.join('\n')}`)
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

import { brokerEnv, isProduction, redact } from '@cashflow/runtime'
import * as z from 'zod'
import { type OperatorSettings, operatorEnv, STACK_FILE } from '../settings.ts'
import { type Line, ok } from './line.ts'

/** The settings that `doctor` reads in addition to those of every command. */
export const doctorEnv = z.object({
  ...brokerEnv,
  // Read as they are: a file or URL that cannot be used has a line of its own.
  API_TLS_CERT: z.string().optional(),
  PROVIDER_URL: z.string().optional(),
  PROVIDER_TLS_CA: z.string().optional(),
})

const PARTS_OF_URL = {
  DATABASE_URL: ['DB_HOST', 'DB_PORT', 'DB_USER', 'DB_PASSWORD', 'DB_NAME'],
  RABBITMQ_URL: ['MQ_HOST', 'MQ_PORT', 'MQ_USER', 'MQ_PASSWORD'],
} as const

/** Where each setting comes from. Secrets are not shown. */
export function settingLines(settings: OperatorSettings): Line[] {
  const { env, fromFile, stack } = settings
  const names = Object.keys({ ...operatorEnv.shape, ...doctorEnv.shape }).filter((name) => env[name])
  const values = redact(Object.fromEntries(names.map((name) => [name, env[name]]))) as Record<string, string>
  const lines = names.map((name) => {
    const secretFile = env[`${name}_FILE`]
    const from = secretFile ? `the file ${secretFile}` : fromFile.has(name) ? '.env' : 'environment'
    return ok(
      `setting ${name}`,
      `${values[name]} (${from})${isIgnored(name, env) ? ', without effect: a URL is set' : ''}`,
    )
  })
  const of = stack ? STACK_FILE : env.DATABASE_URL || env.DB_HOST ? 'the settings above' : 'the defaults'
  const mode = `SANDBOX=${settings.sandbox ? 'yes' : 'no'}${isProduction(env) ? ', in production: .env is not read' : ''}`
  return [...lines, ok('settings', `PostgreSQL from ${of}: ${redact(settings.url)}; ${mode}`)]
}

function isIgnored(name: string, env: OperatorSettings['env']): boolean {
  return Object.entries(PARTS_OF_URL).some(([url, parts]) => env[url] && (parts as readonly string[]).includes(name))
}

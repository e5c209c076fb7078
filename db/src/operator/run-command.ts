import {
  createLogger,
  databaseEnv,
  databaseUrl,
  loadConfig,
  outliveOutput,
  parseEnv,
  redactedErrorMessage,
} from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { ensureSchema } from '../migrate/schema.ts'
import { createDatabase } from '../postgres/database.ts'
import { DatabaseSettingError, isTransient, refusedSettings } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'
import type { Done } from './dead-letters.ts'

export type Command = (db: Kysely<Tables>) => Promise<Done>

/** The arguments are not a command. */
export class UsageError extends Error {}

/** Standard output has no reader any more. It had what it wanted, as `| head -1` has, and the command ends quietly. */
class ReaderGoneError extends Error {}

/**
 * Writes a line to standard output.
 *
 * @throws Error when it cannot be written, so that no list looks complete that is not
 */
export function print(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (!error) resolve()
      else reject('code' in error && error.code === 'EPIPE' ? new ReaderGoneError() : error)
    })
  })
}

/**
 * Runs an operator's command as a process: exit code 0 when it was done, 1 when it was refused or failed, 2 when the
 * arguments are none.
 *
 * @param read makes a command of the arguments, or throws what `parseArgs` throws, or a UsageError
 */
export async function runCommand(usage: string, read: (args: string[]) => Command): Promise<void> {
  outliveOutput()
  try {
    await run(usage, read)
  } catch (error) {
    if (!(error instanceof ReaderGoneError)) fail(1, explainFailure(error))
  }
}

async function run(usage: string, read: (args: string[]) => Command): Promise<void> {
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) return print(usage)
  const command = readOrExplain(usage, read)
  if (!command) return
  const config = loadConfig((env) => parseEnv(z.object(databaseEnv), env))
  const logger = createLogger({ service: 'operator', level: 'error' })
  const db = createDatabase({ url: databaseUrl(config), applicationName: 'cashflow-operator', poolMax: 1, logger })
  try {
    await ensureSchema(db)
    const result = await command(db)
    if (!result.done) fail(1, result.why)
  } finally {
    await db.destroy()
  }
}

function readOrExplain(usage: string, read: (args: string[]) => Command): Command | undefined {
  try {
    return read(process.argv.slice(2))
  } catch (error) {
    const isBadArgument =
      error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
    if (!(error instanceof UsageError || isBadArgument)) throw error
    fail(2, `${error.message}\n\n${usage}`)
    return undefined
  }
}

/** One line, with the settings to look at where PostgreSQL cannot be reached or refuses the login. */
function explainFailure(error: unknown): string {
  const reason = redactedErrorMessage(error)
  const settings = refusedSettings(error)
  if (settings !== undefined) return `PostgreSQL refuses this: ${reason}. Look at ${settings}.`
  if (error instanceof DatabaseSettingError || !isTransient(error)) return reason
  return `PostgreSQL cannot be reached: ${reason}. Look at DATABASE_URL, or DB_HOST and DB_PORT.`
}

function fail(exitCode: number, message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = exitCode
}

import {
  createDatabase,
  DatabaseSettingError,
  type Done,
  ensureSchema,
  isTransient,
  refusedSettings,
  type Tables,
} from '@cashflow/db'
import {
  createLogger,
  databaseEnv,
  databaseUrl,
  loadConfig,
  outliveOutput,
  parseEnv,
  redactedErrorMessage,
} from '@cashflow/runtime'
import { Command, CommanderError } from 'commander'
import type { Kysely } from 'kysely'
import * as z from 'zod'

/** The work of a command, which needs the database only. */
export type Act = (db: Kysely<Tables>) => Promise<Done>

/** The reader of standard output has closed it, as `| head -1` does. The command then ends without an error. */
class ReaderGoneError extends Error {}

/**
 * Writes a line to standard output.
 *
 * @throws Error if it cannot be written: an incomplete list must not look complete
 */
export function print(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (!error) resolve()
      else reject('code' in error && error.code === 'EPIPE' ? new ReaderGoneError() : error)
    })
  })
}

type AddCommands = (program: Command, choose: (act: Act) => void) => void

/**
 * Runs the command of the process's arguments. Exit codes: 0 done; 1 refused or failed; 2 wrong arguments.
 *
 * @param addCommands calls `choose` with the act that the arguments name
 */
export async function runCommand(addCommands: AddCommands): Promise<void> {
  outliveOutput()
  try {
    const act = await readArguments(addCommands)
    if (act) await runAct(act)
  } catch (error) {
    if (!(error instanceof ReaderGoneError)) fail(1, explainFailure(error))
  }
}

/** Returns undefined if there is nothing to do: help was printed, or the arguments are wrong. */
async function readArguments(addCommands: AddCommands): Promise<Act | undefined> {
  let chosen: Act | undefined
  const help: string[] = []
  const program = new Command().exitOverride().configureOutput({ writeOut: (text) => help.push(text) })
  addCommands(program, (act) => {
    chosen = act
  })
  try {
    program.parse()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) await print(help.join('').trimEnd())
    else process.exitCode = 2
  }
  return chosen
}

async function runAct(act: Act): Promise<void> {
  const config = loadConfig((env) => parseEnv(z.object(databaseEnv), env))
  const logger = createLogger({ service: 'operator', level: 'error' })
  const db = createDatabase({ url: databaseUrl(config), applicationName: 'cashflow-operator', poolMax: 1, logger })
  try {
    await ensureSchema(db)
    const result = await act(db)
    if (!result.done) fail(1, result.why)
  } finally {
    await db.destroy()
  }
}

/** Returns one line. If PostgreSQL cannot be reached or refuses the login, it names the settings to check. */
function explainFailure(error: unknown): string {
  const reason = redactedErrorMessage(error)
  const settings = refusedSettings(error)
  if (settings !== undefined) return `PostgreSQL refuses the connection: ${reason}. Check ${settings}.`
  if (error instanceof DatabaseSettingError || !isTransient(error)) return reason
  return `PostgreSQL cannot be reached: ${reason}. Check DATABASE_URL, or DB_HOST and DB_PORT.`
}

function fail(exitCode: number, message: string): void {
  process.stderr.write(`${message}\n`)
  process.exitCode = exitCode
}

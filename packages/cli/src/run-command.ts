import {
  createDatabase,
  DatabaseSettingError,
  type Done,
  ensureSchema,
  isTransient,
  type Pepper,
  pepperEnv,
  refusedSettings,
  type Tables,
} from '@cashflow/db'
import {
  createLogger,
  databaseEnv,
  databaseUrl,
  isSandbox,
  loadConfig,
  outliveOutput,
  parseEnv,
  redact,
  redactedErrorMessage,
  sandboxEnv,
} from '@cashflow/runtime'
import { Command, CommanderError } from 'commander'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { type Fields, linesOf } from './show.ts'

/** The settings of every command. */
export const operatorEnv = z.object({ ...databaseEnv, ...sandboxEnv, ...pepperEnv })

/** What a command works with. */
export interface Context {
  readonly db: Kysely<Tables>
  readonly sandbox: boolean
  readonly peppers: readonly [Pepper, ...Pepper[]] | undefined
  /** Prints the facts of one thing, or of a list of things. */
  readonly show: (facts: Fields | readonly Fields[]) => Promise<void>
}

/** The work of a command. */
export type Act = (context: Context) => Promise<Done>

/** The work of a command that has nothing to do with the database. */
export type OutsideAct = (context: Pick<Context, 'show'>) => Promise<Done>

type Chosen = { readonly inside: Act } | { readonly outside: OutsideAct }

/** The reader of standard output has closed it, as `| head -1` does. The command then ends without an error. */
class ReaderGoneError extends Error {
  constructor() {
    super('the reader of standard output is gone')
  }
}

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

type AddCommands = (program: Command, choose: (act: Act) => void, chooseOutside: (act: OutsideAct) => void) => void

/**
 * Runs the command of the process's arguments. Exit codes: 0 done; 1 refused or failed; 2 wrong arguments.
 *
 * @param addCommands calls `choose` or `chooseOutside` with the act that the arguments name
 */
export async function runCommand(addCommands: AddCommands): Promise<void> {
  outliveOutput()
  try {
    const { chosen, json } = await readArguments(addCommands)
    const show: Context['show'] = async (facts) => {
      const lines = linesOf(facts, { json })
      if (lines.length > 0) await print(lines.join('\n'))
    }
    if (!chosen) return
    const result = 'inside' in chosen ? await runInside(chosen.inside, show) : await chosen.outside({ show })
    if (!result.done) fail(1, result.why)
  } catch (error) {
    if (!(error instanceof ReaderGoneError)) fail(1, explainFailure(error))
  }
}

/** Returns no act if there is nothing to do: help was printed, or the arguments are wrong. */
async function readArguments(addCommands: AddCommands): Promise<{ chosen: Chosen | undefined; json: boolean }> {
  let chosen: Chosen | undefined
  const help: string[] = []
  const program = new Command().exitOverride().configureOutput({
    writeOut: (text) => help.push(text),
    // It repeats a wrong argument, which may be a secret.
    outputError: (text, write) => write(String(redact(text))),
  })
  addCommands(
    program,
    (inside) => {
      chosen = { inside }
    },
    (outside) => {
      chosen = { outside }
    },
  )
  try {
    program.parse()
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) await print(help.join('').trimEnd())
    else process.exitCode = 2
  }
  return { chosen, json: program.opts<{ json?: true }>().json ?? false }
}

async function runInside(act: Act, show: Context['show']): Promise<Done> {
  const { url, sandbox, peppers } = loadConfig((env) => {
    const settings = parseEnv(operatorEnv, env)
    return { url: databaseUrl(settings), sandbox: isSandbox(settings, env), peppers: settings.KEY_PEPPER }
  })
  const logger = createLogger({ service: 'operator', level: 'error' })
  const db = createDatabase({ url, applicationName: 'cashflow-operator', poolMax: 1, sandbox, logger })
  try {
    await ensureSchema(db)
    return await act({ db, sandbox, peppers, show })
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

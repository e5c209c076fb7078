import {
  CommitInDoubtError,
  createDatabase,
  DatabaseSettingError,
  DatabaseTlsError,
  type Done,
  ensureSchema,
  isDamage,
  isTransient,
  refusedByLock,
  refusedSettings,
  type Tables,
} from '@cashflow/db'
import { operatorName } from '@cashflow/db/operator'
import { ConfigError, createLogger, outliveOutput, redact, redactedErrorMessage, visibleLines } from '@cashflow/runtime'
import { Command, CommanderError } from '@commander-js/extra-typings'
import type { Kysely } from 'kysely'
import { createProgress, type Progress } from './progress.ts'
import { type OperatorSettings, readSettings, STACK_FILE } from './settings.ts'
import { type Fields, linesOf } from './show.ts'

/** The program that acts of operators are recorded with. */
const VIA = 'cashflow'

/** What a command works with that has nothing to do with the database. */
export interface OutsideContext {
  /** True if the output is for programs: one JSON object, or of a list one object a line. */
  readonly json: boolean
  /** Prints the facts of one thing, or of a list of things. People read `none` in place of an empty list. */
  readonly show: (facts: Fields | readonly Fields[], options?: { readonly none?: string | undefined }) => Promise<void>
  /** Shows how far the command has come, if it takes long. */
  readonly progress: Progress
}

/** What a command works with. */
export interface Context extends OutsideContext, Pick<OperatorSettings, 'sandbox' | 'peppers' | 'secretKeys'> {
  readonly db: Kysely<Tables>
  /** The operator. */
  readonly actor: string
  /** The program, as it is recorded with what the operator does. */
  readonly via: string
}

/** The work of a command. What is refused, or that something was found, ends the process with 1; an error ends it with 3. */
export type Act = (context: Context) => Promise<Done>

/** The work of a command that opens no database, or opens it itself. */
export type OutsideAct = (context: OutsideContext) => Promise<Done>

type Chosen = { readonly inside: Act } | { readonly outside: OutsideAct }

/** The reader of standard output has closed it, as `| head -1` does. The command then ends without an error, but see `noteFound`. */
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

/** Makes the exit code 1 before it is printed what was found or refused: the reader of standard output may close it at once. */
export function noteFound(): void {
  process.exitCode = 1
}

type AddCommands = (program: Command, choose: (act: Act) => void, chooseOutside: (act: OutsideAct) => void) => void

/**
 * Runs the command of the process's arguments. Exit codes: 0 done; 1 refused, or something was found; 2 wrong arguments;
 * 3 could not be done.
 *
 * @param addCommands calls `choose` or `chooseOutside` with the act that the arguments name
 */
export async function runCommand(addCommands: AddCommands): Promise<void> {
  outliveOutput()
  const progress = createProgress(process.stderr)
  try {
    const { chosen, json, actor } = await readArguments(addCommands)
    const show: Context['show'] = async (facts, { none } = {}) => {
      progress.clear()
      const lines = linesOf(facts, { json, none })
      if (lines.length > 0) await print(lines.join('\n'))
    }
    if (!chosen) return
    const context: OutsideContext = { json, show, progress }
    const result =
      'inside' in chosen
        ? await runInside(chosen.inside, { ...context, actor: actor ?? operatorName(), via: VIA })
        : await chosen.outside(context)
    progress.clear()
    if (!result.done) fail(1, result.why)
  } catch (error) {
    progress.clear()
    if (!(error instanceof ReaderGoneError)) fail(3, explainFailure(error))
  }
}

/** Returns no act if there is nothing to do: help was printed, or the arguments are wrong. */
async function readArguments(addCommands: AddCommands) {
  let chosen: Chosen | undefined
  const help: string[] = []
  const program = new Command().exitOverride().configureOutput({
    writeOut: (text) => help.push(text),
    // It repeats a wrong argument, which may be a secret.
    outputError: (text, write) => write(visibleLines(String(redact(text)))),
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
  const { json = false, actor } = program.opts() as { json?: true; actor?: string }
  return { chosen, json, actor }
}

async function runInside(act: Act, context: Omit<Context, 'db' | 'sandbox' | 'peppers' | 'secretKeys'>): Promise<Done> {
  const settings = readSettings()
  saySource(settings)
  const { sandbox, peppers, secretKeys } = settings
  const db = openOperatorDatabase(settings)
  try {
    await ensureSchema(db)
    return await act({ ...context, db, sandbox, peppers, secretKeys })
  } catch (error) {
    const byLock = refusedByLock(error)
    if (byLock) return byLock
    throw settings.stack ? new Error(explainFailure(error, NAMED_BY_STACK)) : error
  } finally {
    await db.destroy()
  }
}

/** Opens one session. */
export function openOperatorDatabase({ url, sandbox, standbyRequired }: OperatorSettings) {
  const logger = createLogger({ service: 'operator', level: 'error' })
  return createDatabase({ url, applicationName: 'cashflow-operator', poolMax: 1, sandbox, standbyRequired, logger })
}

/** Tells the operator which server a command without settings uses. */
export function saySource({ stack, url }: OperatorSettings): void {
  if (stack) process.stderr.write(`Uses the PostgreSQL that ${STACK_FILE} names: ${redact(url)}\n`)
}

const NAMED_BY_STACK = `${STACK_FILE} names it: run "npm start" again, or set DATABASE_URL.`

const IN_DOUBT =
  'It was done, and is lost only if the primary is lost before a standby has it. Look before you repeat it.'

/** What to do about a row that PostgreSQL cannot read. */
export const DAMAGED = 'docs/operations.md says what to do about a damaged page.'

/** Returns one line, and what to do if PostgreSQL cannot be reached or refuses the login. */
export function explainFailure(error: unknown, whatToDo = 'Check DATABASE_URL, or DB_HOST and DB_PORT.'): string {
  if (error instanceof ConfigError) return error.message
  const reason = redactedErrorMessage(error)
  if (error instanceof CommitInDoubtError) return `${reason}. ${IN_DOUBT}`
  const settings = refusedSettings(error)
  if (error instanceof DatabaseTlsError) return `${reason}. Check ${error.settings}.`
  if (settings !== undefined) return `PostgreSQL refuses the connection: ${reason}. Check ${settings}.`
  if (isDamage(error)) return `PostgreSQL cannot read or write a row: ${error.code} ${reason}. ${DAMAGED}`
  if (error instanceof DatabaseSettingError || !isTransient(error)) return reason
  return `PostgreSQL cannot be reached: ${reason}. ${whatToDo}`
}

function fail(exitCode: number, message: string): void {
  process.stderr.write(`${visibleLines(message)}\n`)
  process.exitCode = exitCode
}

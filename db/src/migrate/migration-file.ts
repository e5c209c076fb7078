import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '@cashflow/async'

/** A file of `migrations/`. Its name, without `.sql`, is what the database records. */
export type Migration = WholeMigration | SteppedMigration

/** A migration that runs in one transaction. */
export interface WholeMigration {
  readonly kind: 'whole'
  readonly name: string
  readonly text: string
}

/** A migration that runs statement by statement. Each is recorded when it is done. */
export interface SteppedMigration {
  readonly kind: 'steps'
  readonly name: string
  readonly steps: readonly Step[]
  /** Number of the migration that all connected services must know before this one runs. */
  readonly after: string | undefined
}

/**
 * A statement of a stepped migration.
 *
 * - `concurrently` creates or drops an index without blocking writers. PostgreSQL runs it only outside a transaction, so a
 *   kill can separate it from its record. It can be repeated.
 * - `plain` is any other statement. It runs in one transaction with its record.
 */
export type Step =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'concurrently'; readonly text: string; readonly index: string; readonly creates: boolean }

/** A migration file that `migrate` cannot run safely. */
export class MigrationFileError extends Error {
  readonly code = 'migration_file_invalid'
}

/**
 * Reads the `.sql` files of a folder, in the order of their names.
 *
 * @throws MigrationFileError that names the file and the statement
 */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file) => toMigration(file.slice(0, -4), await readFile(join(folder, file), 'utf8'))),
  )
}

const STEPS = /^[ \t]*-- steps(?: after (\d{4}))?\s*(?:\n|$)/

export function toMigration(name: string, text: string): Migration {
  const directive = STEPS.exec(text)
  if (directive) return { kind: 'steps', name, after: directive[1], steps: statementsOf(name, text).map(toStep(name)) }
  if (/\bconcurrently\b/i.test(withoutComments(text)))
    throw new MigrationFileError(`${name}.sql: "concurrently" needs "-- steps" as the first line of the file.`)
  return { kind: 'whole', name, text }
}

/** Splits at each `;` at the end of a line. No string and no function body may have one there. */
function statementsOf(name: string, text: string): string[] {
  const statements = withoutComments(text)
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
  const rest = defined(statements.pop(), 'text after the last statement')
  if (rest) throw new MigrationFileError(`${name}.sql: this statement has no ";" at the end of a line: ${rest}`)
  for (const statement of statements)
    if (/[;$]|--|\/\*/.test(statement))
      throw new MigrationFileError(
        `${name}.sql: with "-- steps", a statement cannot contain ";", "$", "/*" or "--": ${statement}`,
      )
  return statements
}

function withoutComments(text: string): string {
  return text.replaceAll(/^[ \t]*--.*$/gm, '')
}

const CREATE = /^create (?:unique )?index concurrently if not exists (\w+)\s/i
const DROP = /^drop index concurrently if exists (\w+)$/i

function toStep(name: string): (text: string) => Step {
  return (text) => {
    if (!/\bconcurrently\b/i.test(text)) return { kind: 'plain', text }
    const index = (CREATE.exec(text) ?? DROP.exec(text))?.[1]
    if (index === undefined)
      throw new MigrationFileError(
        `${name}.sql: only "create index concurrently if not exists" and "drop index concurrently if exists" can be repeated after a kill: ${text}`,
      )
    return { kind: 'concurrently', text, index, creates: CREATE.test(text) }
  }
}

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A file of `migrations/`. Its name, without `.sql`, is what the database records. */
export type Migration = WholeMigration | SteppedMigration

/** One transaction. */
export interface WholeMigration {
  readonly kind: 'whole'
  readonly name: string
  readonly text: string
}

/** Statement by statement, each by itself. */
export interface SteppedMigration {
  readonly kind: 'steps'
  readonly name: string
  readonly steps: readonly Step[]
  /** Number of the migration that all connected services have to know before this one runs. */
  readonly after: string | undefined
}

/**
 * `concurrently`: PostgreSQL makes or drops an index while others work, outside a transaction. Run again, it
 * finds what it did. `plain`: any other statement. It runs in one transaction with the record that it ran.
 */
export type Step =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'concurrently'; readonly text: string; readonly index: string; readonly creates: boolean }

/** A migration file that the runner cannot run safely. */
export class MigrationFileError extends Error {
  readonly code = 'migration_file_invalid'
}

/**
 * @returns the migrations of a folder in the order of their names
 * @throws MigrationFileError naming the file and the statement
 */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file) => toMigration(file.slice(0, -4), await readFile(join(folder, file), 'utf8'))),
  )
}

const STEPS = /^-- steps(?: after (\d{4}))?$/

export function toMigration(name: string, text: string): Migration {
  const [first = ''] = text.split('\n', 1)
  const directive = STEPS.exec(first.trim())
  if (directive) return { kind: 'steps', name, after: directive[1], steps: statementsOf(name, text).map(toStep(name)) }
  if (/\bconcurrently\b/i.test(withoutComments(text)))
    throw new MigrationFileError(`${name}.sql: "concurrently" needs "-- steps" as the first line of the file.`)
  return { kind: 'whole', name, text }
}

/** Statements end with a `;` at the end of a line. No string or body of a function may have one there. */
function statementsOf(name: string, text: string): string[] {
  const [rest = '', ...statements] = withoutComments(text)
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .reverse()
  if (rest) throw new MigrationFileError(`${name}.sql: this statement has no ";" at the end of a line: ${rest}`)
  for (const statement of statements)
    if (/[;$]|--|\/\*/.test(statement))
      throw new MigrationFileError(
        `${name}.sql: with "-- steps", ";", "$", "/*" and comments on lines of code are not read: ${statement}`,
      )
  return statements.reverse()
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
        `${name}.sql: only "create index concurrently if not exists" and "drop index concurrently if exists" can run again after a kill: ${text}`,
      )
    return { kind: 'concurrently', text, index, creates: CREATE.test(text) }
  }
}

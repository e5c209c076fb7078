import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'

/** The newest migration that the code of this version relies on. */
export const SCHEMA_NEEDED = '0010_pruned_references'

const FOLDER = join(import.meta.dirname, '..', 'migrations')

/**
 * Applies what is missing, forward only, under an advisory lock: several runners may start at once.
 *
 * @returns the names that were applied now
 */
// biome-ignore lint/suspicious/noExplicitAny: migrations come before the tables whose types they would need.
export async function migrate(db: Kysely<any>, folder = FOLDER): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: () => readMigrations(folder) } })
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error) throw error
  return results.filter(({ status }) => status === 'Success').map(({ migrationName }) => migrationName)
}

async function readMigrations(folder: string): Promise<Record<string, Migration>> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql'))
  const read = async (file: string): Promise<[string, Migration]> => {
    const text = await readFile(join(folder, file), 'utf8')
    return [file.slice(0, -'.sql'.length), { up: async (db) => void (await sql.raw(text).execute(db)) }]
  }
  return Object.fromEntries(await Promise.all(files.map(read)))
}

/** The database has not been migrated as far as this version needs. */
export class SchemaError extends Error {
  readonly code = 'schema_too_old'
}

/**
 * Refuses a database that is older than this code; a newer one is welcome, for migrations only ever add.
 *
 * @throws SchemaError with what to run
 */
export async function ensureSchema<Any>(db: Kysely<Any>): Promise<void> {
  const { rows } = await sql<{ current: boolean }>`
    select to_regclass('kysely_migration') is not null as current`.execute(db)
  if (rows[0]?.current) {
    const applied = await sql`select 1 from kysely_migration where name = ${SCHEMA_NEEDED}`.execute(db)
    if (applied.rows.length > 0) return
  }
  throw new SchemaError(`The database lacks migration ${SCHEMA_NEEDED}. Run "npm run migrate", then start again.`)
}

import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@cashflow/runtime'
import { createTestDatabase, REPOSITORY, type TestDatabase, withDatabase } from '@cashflow/testing'
import { type Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { createDatabase, type Tables } from '../../src/index.ts'
import { migrate } from '../../src/migrate/migrate.ts'

export const FOLDER = join(REPOSITORY, 'db/migrations')
/** The newest migration of the version that recorded migrations in `kysely_migration`. */
export const FORMER = '0006_refused_topics'

export const logger = createLogger({ service: 'test', level: 'error' })

/** Runs `migrate` on the repository's migrations. */
export const migrateAll = (db: Kysely<Tables>, options: Partial<Parameters<typeof migrate>[1]> = {}) =>
  migrate(db, { folder: FOLDER, logger, wanted: { mode: 'sandbox', from: 'SANDBOX' }, ...options })

/** Returns the names of the repository's migrations, or of those after one of them. */
export async function migrationNames(after = ''): Promise<string[]> {
  const files = (await readdir(FOLDER)).sort()
  return files.map((file) => file.replace(/\.sql$/, '')).filter((name) => name > after)
}

/** Applies the migrations up to `newest`. */
export async function migrateUpTo(db: Kysely<Tables>, newest: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  const files = (await readdir(FOLDER)).filter((file) => file <= `${newest}.sql`)
  await Promise.all(files.map((file) => copyFile(join(FOLDER, file), join(folder, file))))
  await migrateAll(db, { folder })
  await rm(folder, { recursive: true })
}

export interface FormerDatabase {
  readonly db: Kysely<Tables>
  readonly url: string
  readonly name: string
  drop(): Promise<void>
}

/** Creates a database without tables. With `icuLocale`, that locale orders its text until `changeLocale`. */
export async function createEmptyDatabase(icuLocale?: string): Promise<FormerDatabase> {
  const made = await createTestDatabase()
  const database = icuLocale === undefined ? await emptied(made) : await recreated(made, icuLocale)
  const db = open(database.url)
  return {
    ...database,
    db,
    async drop() {
      await db.destroy()
      await database.drop()
    },
  }
}

/** Creates a database that the migrator of the version before has migrated. */
export async function createFormerDatabase(icuLocale?: string): Promise<FormerDatabase> {
  const database = await createEmptyDatabase(icuLocale)
  await migrateFormer(database.db)
  return database
}

/** Migrates as the version before did, with Kysely's Migrator. */
export async function migrateFormer(db: Kysely<Tables>): Promise<void> {
  const files = (await readdir(FOLDER)).filter((file) => file <= `${FORMER}.sql`)
  const read = async (file: string) => [file.slice(0, -4), await readFile(join(FOLDER, file), 'utf8')] as const
  const texts = await Promise.all(files.map(read))
  const getMigrations = async () =>
    Object.fromEntries(
      texts.map(([name, text]) => [
        name,
        { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) },
      ]),
    )
  const { error } = await new Migrator({ db, provider: { getMigrations } }).migrateToLatest()
  if (error) throw error
}

/** Changes the order of a database's text, as an update of the system's libraries does. New sessions use the new order. */
export async function changeLocale({ db, name }: FormerDatabase, icuLocale: string): Promise<void> {
  await sql`update pg_database set datlocale = ${icuLocale} where datname = ${name}`.execute(db)
}

/** Opens a pool like that of `npm run migrate`. */
export function open(url: string, poolMax = 4): Kysely<Tables> {
  return createDatabase({
    url,
    applicationName: 'cashflow-migrate',
    poolMax,
    statementMs: 0,
    idleInTransactionMs: 0,
    logger,
  })
}

async function emptied(database: TestDatabase): Promise<TestDatabase> {
  const db = open(database.url, 1)
  await sql`drop schema public cascade; create schema public`.execute(db)
  await db.destroy()
  return database
}

async function recreated(database: TestDatabase, icuLocale: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = open(withDatabase(database.url, 'postgres'), 1)
  await sql`
    create database ${sql.id(name)} template template0 locale_provider icu icu_locale ${sql.lit(icuLocale)}`.execute(
    admin,
  )
  await database.drop()
  return {
    name,
    url: withDatabase(database.url, name),
    async drop() {
      await sql`drop database if exists ${sql.id(name)} with (force)`.execute(admin)
      await admin.destroy()
    },
  }
}

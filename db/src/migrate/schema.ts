import { type Kysely, sql } from 'kysely'

/** The newest migration that the code of this version relies on. */
export const SCHEMA_NEEDED = '0008_text_by_bytes'

/** The database has not been migrated as far as this version needs. */
export class SchemaError extends Error {
  readonly code = 'schema_too_old'
}

/**
 * Refuses a database that is older than this code. A newer one is fine: migrations add, and take away only what no
 * connected service uses.
 *
 * @throws SchemaError with what to run
 */
export async function ensureSchema<Any>(db: Kysely<Any>): Promise<void> {
  const { rows } = await sql<{ recorded: boolean }>`
    select to_regclass('cashflow_migration') is not null as recorded`.execute(db)
  if (rows[0]?.recorded) {
    const applied = await sql`
      select 1 from cashflow_migration where name = ${SCHEMA_NEEDED} and applied_at is not null`.execute(db)
    if (applied.rows.length > 0) return
  }
  throw new SchemaError(`The database lacks migration ${SCHEMA_NEEDED}. Run "npm run migrate", then start again.`)
}

/**
 * A service's name for its sessions, as pg_stat_activity shows it. It says which schema the service knows, so that
 * `migrate` sees which services are older than what it is about to do.
 */
export function serviceSession(service: string): string {
  return `cashflow-${service} (schema ${SCHEMA_NEEDED.slice(0, 4)})`
}

/** Names of connected services that do not know a migration yet. Sessions of earlier versions name no schema. */
export async function servicesWithout<Any>(db: Kysely<Any>, migrationNumber: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select distinct application_name as name from pg_stat_activity
    where datname = current_database() and application_name ~ '^cashflow-(?!migrate|operator)'
      and coalesce(substring(application_name from 'schema ([0-9]{4})'), '0')::int < ${Number(migrationNumber)}::int
    order by 1`.execute(db)
  return rows.map(({ name }) => name)
}

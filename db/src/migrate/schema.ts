import { type Kysely, type QueryExecutorProvider, sql } from 'kysely'
import { ensureEventOrder } from '../events/restored.ts'
import type { Tables } from '../tables.ts'
import { type LedgerTables, tableExists } from './ledger.ts'

/** The newest migration that the code of this version relies on. */
export const SCHEMA_NEEDED = '0025_chart_slots'

export const SCHEMA_TOO_OLD = `The database lacks migration ${SCHEMA_NEEDED}. Run "npm run migrate", then start again.`

/** The database lacks a migration that this version relies on. */
export class SchemaError extends Error {
  readonly code = 'schema_too_old'
}

/**
 * Refuses a database whose schema is older than this code needs. A newer schema is accepted: a migration removes nothing
 * that a connected service uses. Also refuses a restored dump, until `migrate` has run.
 *
 * @throws SchemaError, RestoredEventsError that names the command to run
 */
export async function ensureSchema(db: Kysely<Tables>): Promise<void> {
  const ledger = db.withTables<LedgerTables>()
  const { recorded } = await ledger
    .selectNoFrom(tableExists('cashflow_migration').as('recorded'))
    .executeTakeFirstOrThrow()
  const applied = recorded
    ? await ledger
        .selectFrom('cashflow_migration')
        .select('name')
        .where('name', '=', SCHEMA_NEEDED)
        .where('applied_at', 'is not', null)
        .executeTakeFirst()
    : undefined
  if (!applied) throw new SchemaError(SCHEMA_TOO_OLD)
  await ensureEventOrder(db)
}

/**
 * Returns the name of a service's sessions in `pg_stat_activity`. It contains the number of the schema that the service
 * knows: `migrate` reads there which connected services are too old for a migration.
 */
export function serviceSession(service: string): string {
  return `cashflow-${service} (schema ${SCHEMA_NEEDED.slice(0, 4)})`
}

/** Returns the names of connected services that do not know a migration. A name without a schema counts as schema 0. */
export async function servicesWithout(db: QueryExecutorProvider, migrationNumber: string): Promise<string[]> {
  // As `sql`: the builder has no types for PostgreSQL's own views.
  const { rows } = await sql<{ name: string }>`
    select distinct application_name as name from pg_stat_activity
    where datname = current_database() and application_name ~ '^cashflow-(?!migrate|operator)'
      and coalesce(substring(application_name from 'schema ([0-9]{4})'), '0')::int < ${Number(migrationNumber)}::int
    order by 1`.execute(db)
  return rows.map(({ name }) => name)
}

/** Returns the names of the connected services and of the operator's commands that run. */
export async function connectedSessions(db: QueryExecutorProvider): Promise<string[]> {
  // As `sql`: the builder has no types for PostgreSQL's own views.
  const { rows } = await sql<{ name: string }>`
    select distinct application_name as name from pg_stat_activity
    where datname = current_database() and application_name ~ '^cashflow-(?!migrate)' order by 1`.execute(db)
  return rows.map(({ name }) => name)
}

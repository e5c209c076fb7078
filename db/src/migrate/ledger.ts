import { type Generated, type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** The tables that record which migrations were applied. */
export type LedgerTables = {
  cashflow_migration: {
    name: string
    steps_done: Generated<number>
    /** Null while only some of its steps are done. */
    applied_at: Date | null
  }
  /** Written by the migrator of earlier versions. */
  kysely_migration: {
    name: string
    /** ISO 8601. */
    timestamp: string
  }
}

export type MigrationTables = Tables & LedgerTables

/** The migrations that a database has. */
export interface Ledger {
  /** True if the table `cashflow_migration` exists. */
  readonly exists: boolean
  readonly applied: ReadonlySet<string>
  /** Applied migrations that only `kysely_migration` records. An earlier version's migrator may add some at any time. */
  readonly unrecorded: readonly string[]
}

/** The role's search_path names no schema in which our tables could be created. */
export class NoSchemaError extends Error {
  readonly code = 'no_schema'
}

/**
 * Reads which migrations were applied. Changes nothing.
 *
 * @param known names of our migrations. They tell our rows of `kysely_migration` from another application's
 * @throws NoSchemaError
 */
export async function readLedger(db: Kysely<MigrationTables>, known: readonly string[]): Promise<Ledger> {
  const { schema, path, exists } = await db
    .selectNoFrom([
      sql<string | null>`current_schema()`.as('schema'),
      sql<string>`current_setting('search_path')`.as('path'),
      tableExists('cashflow_migration').as('exists'),
    ])
    .executeTakeFirstOrThrow()
  if (schema === null)
    throw new NoSchemaError(
      `The role's search_path (${path}) names no schema that exists. Create the schema, then run "npm run migrate" again.`,
    )
  const before = await appliedBefore(db, known)
  if (!exists) return { exists, applied: new Set(before), unrecorded: before }
  const rows = await db.selectFrom('cashflow_migration').select('name').where('applied_at', 'is not', null).execute()
  const recorded = rows.map(({ name }) => name)
  return {
    exists,
    applied: new Set([...recorded, ...before]),
    unrecorded: before.filter((name) => !recorded.includes(name)),
  }
}

/**
 * Returns the migrations that an earlier version recorded in `kysely_migration`. Another application may have a table of
 * that name. So its rows count only if each of them is one of our migrations and the table `payments` exists.
 */
async function appliedBefore(db: Kysely<MigrationTables>, known: readonly string[]): Promise<string[]> {
  const isReadable = sql<boolean | null>`has_table_privilege(to_regclass('kysely_migration'), 'select')`
  const { readable, ours } = await db
    .selectNoFrom([isReadable.as('readable'), tableExists('payments').as('ours')])
    .executeTakeFirstOrThrow()
  if (!readable || !ours) return []
  const rows = await db.selectFrom('kysely_migration').select('name').execute()
  const names = rows.map(({ name }) => name)
  return names.every((name) => known.includes(name)) ? names : []
}

// Functions without a table are `sql` here, which is shorter.
export function tableExists(table: keyof MigrationTables) {
  return sql<boolean>`to_regclass(${table}) is not null`
}

/** Creates the table `cashflow_migration` if it is missing, and copies the rows that only `kysely_migration` has. */
export async function completeLedger(
  db: Kysely<MigrationTables>,
  { exists, unrecorded }: Pick<Ledger, 'exists' | 'unrecorded'>,
): Promise<void> {
  if (exists && unrecorded.length === 0) return
  await db.transaction().execute(async (tx) => {
    if (!exists)
      await tx.schema
        .createTable('cashflow_migration')
        .addColumn('name', sql`text collate "C"`, (column) => column.primaryKey()) // The builder has no COLLATE here.
        .addColumn('steps_done', 'integer', (column) => column.notNull().defaultTo(0))
        .addColumn('applied_at', 'timestamptz')
        .execute()
    if (unrecorded.length > 0)
      await tx
        .insertInto('cashflow_migration')
        .values((eb) => {
          const former = eb
            .selectFrom('kysely_migration')
            .select((row) => row.cast<Date>('timestamp', 'timestamptz').as('at'))
          return unrecorded.map((name) => ({ name, applied_at: former.where('name', '=', name) }))
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
  })
}

export async function recordApplied(db: Kysely<MigrationTables>, name: string): Promise<void> {
  await db
    .insertInto('cashflow_migration')
    .values((eb) => ({ name, applied_at: eb.fn<Date>('now') }))
    .onConflict((conflict) => conflict.column('name').doUpdateSet((eb) => ({ applied_at: eb.fn<Date>('now') })))
    .execute()
}

/** Returns how many steps of a migration are recorded as done. */
export async function stepsDone(db: Kysely<MigrationTables>, name: string): Promise<number> {
  const row = await db.selectFrom('cashflow_migration').select('steps_done').where('name', '=', name).executeTakeFirst()
  return row?.steps_done ?? 0
}

export async function recordSteps(db: Kysely<MigrationTables>, name: string, done: number): Promise<void> {
  await db
    .insertInto('cashflow_migration')
    .values({ name, steps_done: done })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ steps_done: done }))
    .execute()
}

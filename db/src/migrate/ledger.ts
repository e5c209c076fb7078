import { type Kysely, sql } from 'kysely'

/** Which migrations a database has, as its table `cashflow_migration` says. */
export interface Ledger {
  /** Whether the table is there yet. */
  readonly exists: boolean
  readonly applied: ReadonlySet<string>
  /** Those of them that only an earlier version has recorded. Its migrator may run at any time, also after this one. */
  readonly unrecorded: readonly string[]
}

/** The role's search_path leaves no place for our tables. */
export class NoSchemaError extends Error {
  readonly code = 'no_schema'
}

/**
 * Reads what has been applied, and changes nothing.
 *
 * @param known names of our migrations, by which rows of an earlier version are told from another application's
 * @throws NoSchemaError
 */
export async function readLedger<Any>(db: Kysely<Any>, known: readonly string[]): Promise<Ledger> {
  const { rows } = await sql<{ schema: string | null; path: string; exists: boolean }>`
    select current_schema() as schema, current_setting('search_path') as path,
      to_regclass('cashflow_migration') is not null as exists`.execute(db)
  const [found] = rows
  if (!found?.schema)
    throw new NoSchemaError(
      `The role's search_path (${found?.path}) names no schema that exists. Create the schema, then run "npm run migrate" again.`,
    )
  const before = await appliedBefore(db, known)
  if (!found.exists) return { exists: false, applied: new Set(before), unrecorded: before }
  const { rows: recorded } = await sql<{ name: string }>`
    select name from cashflow_migration where applied_at is not null`.execute(db)
  const own = new Set(recorded.map(({ name }) => name))
  return { exists: true, applied: new Set([...own, ...before]), unrecorded: before.filter((name) => !own.has(name)) }
}

/**
 * What an earlier version recorded in `kysely_migration`. Another application may have a table of that name, so it counts
 * only if every row is one of ours and our tables are there.
 */
async function appliedBefore<Any>(db: Kysely<Any>, known: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ readable: boolean | null }>`
    select has_table_privilege(to_regclass('kysely_migration'), 'select') and to_regclass('payments') is not null
      as readable`.execute(db)
  if (!rows[0]?.readable) return []
  const recorded = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  const names = recorded.rows.map(({ name }) => name)
  return names.every((name) => known.includes(name)) ? names : []
}

/** Makes the table where it is not there yet, and copies what only an earlier version has recorded. */
export async function completeLedger<Any>(db: Kysely<Any>, { exists, unrecorded }: Ledger): Promise<void> {
  if (exists && unrecorded.length === 0) return
  await db.transaction().execute(async (tx) => {
    if (!exists)
      await sql`
        create table cashflow_migration (
          name text collate "C" primary key,
          steps_done int not null default 0,
          applied_at timestamptz
        )`.execute(tx)
    if (unrecorded.length > 0)
      await sql`
        insert into cashflow_migration (name, applied_at)
        select name, "timestamp"::timestamptz from kysely_migration where name = any (${unrecorded})
        on conflict do nothing`.execute(tx)
  })
}

export async function recordApplied<Any>(db: Kysely<Any>, name: string): Promise<void> {
  await sql`
    insert into cashflow_migration (name, applied_at) values (${name}, now())
    on conflict (name) do update set applied_at = excluded.applied_at`.execute(db)
}

/** How many steps of a migration are recorded as done. */
export async function stepsDone<Any>(db: Kysely<Any>, name: string): Promise<number> {
  const { rows } = await sql<{ steps_done: number }>`
    select steps_done from cashflow_migration where name = ${name}`.execute(db)
  return rows[0]?.steps_done ?? 0
}

export async function recordSteps<Any>(db: Kysely<Any>, name: string, done: number): Promise<void> {
  await sql`
    insert into cashflow_migration (name, steps_done) values (${name}, ${done})
    on conflict (name) do update set steps_done = excluded.steps_done`.execute(db)
}

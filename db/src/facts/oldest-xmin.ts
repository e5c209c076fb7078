import { type QueryExecutorProvider, sql } from 'kysely'

/** What keeps PostgreSQL from removing dead tuples. */
export interface OldestXmin {
  /**
   * Age of the oldest transaction with a snapshot, in milliseconds. PostgreSQL shows it of the role's own sessions and of
   * prepared transactions, of other roles with `pg_read_all_stats` only, and never of a replication slot.
   */
  readonly ageMs: number
  /** Number of transactions since the oldest one of any role, or since what a replication slot keeps. */
  readonly transactions: number
}

/** Reads the oldest snapshot that VACUUM must respect: of this database's sessions, standbys, prepared transactions and slots. */
export async function readOldestXmin(db: QueryExecutorProvider): Promise<OldestXmin> {
  // As `sql`: the builder has no types for PostgreSQL's functions. They are cheaper to plan than their views. A running
  // autovacuum keeps no other from removing tuples. Each role may see that its session has user 0, and only some its type.
  // The 0 is a parameter: a session keeps the plan of a statement that has one.
  const { rows } = await sql<{ age_ms: number | null; transactions: number | null }>`
    with own as materialized (select oid from pg_database where datname = current_database())
    select extract(epoch from clock_timestamp() - min(since))::float8 * 1000 as age_ms, max(age(xmin)) as transactions
    from (
      select xact_start as since, backend_xmin as xmin from pg_stat_get_activity(null)
      where backend_xmin is not null and usesysid <> ${0}
        and (datid is null or datid = 0 or datid = (select oid from own))
      union all select prepared, transaction from pg_prepared_xact() where dbid = (select oid from own)
      union all select null, xmin from pg_get_replication_slots() where xmin is not null
    ) held`.execute(db)
  return { ageMs: Math.max(0, rows[0]?.age_ms ?? 0), transactions: rows[0]?.transactions ?? 0 }
}

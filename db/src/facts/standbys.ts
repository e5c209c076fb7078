import { type QueryExecutorProvider, sql } from 'kysely'

/**
 * Counts the connected standbys whose confirmation a COMMIT waits for. Undefined if the role may not see their states, which
 * needs `pg_read_all_stats`.
 */
export async function countSynchronousStandbys(db: QueryExecutorProvider): Promise<number | undefined> {
  // As `sql`: the builder has no types for PostgreSQL's functions. Of a hidden standby only the process id is shown. A session
  // keeps the plan of a statement that has a parameter.
  const { rows } = await sql<{ synchronous: number; hidden: number }>`
    select count(*) filter (where state = ${'streaming'} and sync_state in ('sync', 'quorum'))::int as synchronous,
      count(*) filter (where state is null)::int as hidden
    from pg_stat_get_wal_senders()`.execute(db)
  const [found] = rows
  return found?.hidden === 0 ? found.synchronous : undefined
}

import { type QueryExecutorProvider, sql } from 'kysely'
import { countSynchronousStandbys } from '../facts/standbys.ts'

/** What an operator may have to correct at the server. */
export interface ServerFacts {
  readonly version: string
  /** Settings by name, as PostgreSQL writes them. */
  readonly settings: Readonly<
    Record<'fsync' | 'full_page_writes' | 'synchronous_commit' | 'synchronous_standby_names', string>
  >
  /** Connected standbys that a COMMIT waits for. Undefined if the role may not see them. */
  readonly synchronousStandbys: number | undefined
  /** Sessions that a role without special rights can open. */
  readonly sessionsMax: number
  /** Sessions of Cashflow, and those of others. */
  readonly sessions: { readonly own: number; readonly others: number }
}

/** Reads what holds the guarantees at the server, and how many sessions it has. */
export async function readServer(db: QueryExecutorProvider): Promise<ServerFacts> {
  // As `sql`: the builder has no types for PostgreSQL's functions and views. Sessions of standbys have a limit of their own.
  const { rows } = await sql<Record<'version' | keyof ServerFacts['settings'], string> & Record<Counted, number>>`
    select current_setting('server_version') as version, current_setting('fsync') as fsync,
      current_setting('full_page_writes') as full_page_writes,
      current_setting('synchronous_commit') as synchronous_commit,
      current_setting('synchronous_standby_names') as synchronous_standby_names,
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int as sessions_max,
      (select count(*)::int from pg_stat_activity where application_name ~ '^cashflow-') as own,
      (select count(*)::int from pg_stat_activity
        where datid is not null and application_name !~ '^cashflow-'
          and pid not in (select pid from pg_stat_replication)) as others`.execute(db)
  const [row] = rows
  if (!row) throw new Error('bug: no row of the server')
  const { version, sessions_max, own, others, ...settings } = row
  const synchronousStandbys = await countSynchronousStandbys(db)
  return { version, settings, synchronousStandbys, sessionsMax: sessions_max, sessions: { own, others } }
}

type Counted = 'sessions_max' | 'own' | 'others'

/** How far the server's clock is ahead of this machine's. */
export interface ClockOffset {
  readonly offsetMs: number
  /** The real offset is at most so far away. */
  readonly errorMs: number
}

/** Compares the server's clock with this machine's, as half of the round trip allows. */
export async function readClock(db: QueryExecutorProvider): Promise<ClockOffset> {
  const before = Date.now()
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
  const after = Date.now()
  const now = rows[0]?.now.getTime() ?? Number.NaN
  return { offsetMs: now - (before + after) / 2, errorMs: (after - before) / 2 }
}

import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** A transaction that holds the feed up: of a session, or prepared. */
export interface FeedHolder {
  readonly pid: number | null
  /** Name of the session, if the role may see it. */
  readonly application: string | null
  /** Name of the prepared transaction. */
  readonly gid: string | null
  readonly database: string | null
}

/** Finds the transaction that has an xid. Undefined if it has ended. */
export async function findFeedHolder(db: Kysely<Tables>, xid: string): Promise<FeedHolder | undefined> {
  // As `sql`: the builder has no types for PostgreSQL's own views. Each transaction locks its own xid, and every role sees that.
  const { rows } = await sql<FeedHolder>`
    select l.pid, a.application_name as application, p.gid, coalesce(a.datname, p.database) as database
    from pg_locks l
    left join pg_stat_activity a on a.pid = l.pid
    left join pg_prepared_xacts p on l.pid is null and p.transaction = l.transactionid
    where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted and l.transactionid = ${xid}::xid8::xid`.execute(
    db,
  )
  return rows[0]
}

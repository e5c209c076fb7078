import { type Kysely, sql } from 'kysely'
import { type OutboxTables, outboxOf } from './tables.ts'

/** A session that has locked lanes: a relay during its pass, or any other session until its transaction ends. */
export interface LaneHolder {
  /** Virtual id of the transaction. */
  readonly transaction: string
  /** Null for a prepared transaction. */
  readonly pid: number | null
  readonly applicationName: string | null
  /** Age of the transaction in milliseconds; null if this role may not see it. */
  readonly ageMs: number | null
  /** xids of the transaction. */
  readonly xids: readonly string[]
  /** True if it has locked the table, and with it all lanes. */
  readonly wholeTable: boolean
}

/** Modes in which a lock of the table locks no lane: those of reading and of vacuuming. */
const LOCKS_NOTHING = ['AccessShareLock', 'ShareUpdateExclusiveLock']
/** Modes that conflict with the lock of the table that comes with a row's lock. */
const LOCKS_ALL = ['ExclusiveLock', 'AccessExclusiveLock']

/** Finds the sessions that have locked lanes. Only relays should. */
export async function laneHolders<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<LaneHolder[]> {
  // Row locks are not in pg_locks. The lock of the table that comes with each of them is. As `sql`: the builder has no types
  // for PostgreSQL's own views.
  const { rows } = await sql<LaneHolder>`
    select held.virtualtransaction as transaction, held.pid, nullif(a.application_name, '') as "applicationName",
      extract(epoch from clock_timestamp() - a.xact_start)::float8 * 1000 as "ageMs",
      bool_or(held.mode = any(${LOCKS_ALL}::text[])) as "wholeTable",
      array(select own.transactionid::text from pg_locks own where own.virtualtransaction = held.virtualtransaction
        and own.locktype = 'transactionid' and own.granted) as xids
    from pg_locks held left join pg_stat_activity a on a.pid = held.pid
    where held.locktype = 'relation' and held.relation = 'outbox_lanes'::regclass and held.granted
      and held.database = (select oid from pg_database where datname = current_database())
      and held.mode <> all(${LOCKS_NOTHING}::text[])
    group by held.virtualtransaction, held.pid, a.application_name, a.xact_start`.execute(db)
  return rows
}

/** The lanes that a transaction with these xids has locked; none if several sessions share the lock of a row. */
export async function lanesLockedBy<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  xids: readonly string[],
): Promise<number[]> {
  const rows = await outboxOf(db)
    .selectFrom('outbox_lanes')
    .select('lane')
    .where(sql`xmax::text`, '=', sql`any(${xids}::text[])`) // A system column, which the builder does not know.
    .orderBy('lane')
    .execute()
  return rows.map(({ lane }) => lane)
}

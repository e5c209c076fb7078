import { type Kysely, sql } from 'kysely'
import type { OutboxTables } from './tables.ts'

/** A session that has locked lanes: a relay during its pass, or any other session until its transaction ends. */
export interface LaneHolder {
  /** The transaction's name while it lasts. */
  readonly transaction: string
  /** Undefined for a prepared transaction. */
  readonly pid: number | undefined
  readonly applicationName: string | undefined
  /** Age of the transaction in milliseconds; undefined where this role may not see it. */
  readonly ageMs: number | undefined
  /** xids of the transaction. */
  readonly xids: readonly string[]
  /** Whether it has locked the table, and with it all lanes. */
  readonly wholeTable: boolean
}

/** Only relays lock lanes. Reading the table and vacuuming it locks none. */
const LOCKS_NOTHING = ['AccessShareLock', 'ShareUpdateExclusiveLock']
/** Conflict with the lock that comes with a row's. */
const LOCKS_ALL = ['ExclusiveLock', 'AccessExclusiveLock']

export async function laneHolders<Tables extends OutboxTables>(db: Kysely<Tables>): Promise<LaneHolder[]> {
  // Row locks are not in pg_locks. The lock of the table that comes with each of them is.
  const { rows } = await sql<{ [Key in keyof LaneHolder]: LaneHolder[Key] | null }>`
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
  return rows.map(({ transaction, pid, applicationName, ageMs, xids, wholeTable }) => ({
    transaction: transaction ?? '',
    pid: pid ?? undefined,
    applicationName: applicationName ?? undefined,
    ageMs: ageMs ?? undefined,
    xids: xids ?? [],
    wholeTable: wholeTable ?? false,
  }))
}

/** The lanes that a transaction of these xids has locked; none where several sessions share the lock of a row. */
export async function lanesLockedBy<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  xids: readonly string[],
): Promise<number[]> {
  const { rows } = await sql<{ lane: number }>`
    select lane from outbox_lanes where xmax::text = any(${xids}::text[]) order by lane`.execute(db)
  return rows.map(({ lane }) => lane)
}

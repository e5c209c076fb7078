import { type QueryExecutorProvider, sql } from 'kysely'

const PROCESSES = `select 'no process runs' as finding, service as subject, null as since
from unnest(array['api', 'relay', 'worker', 'webhooks']) as service
where not exists (select from instances where role = service and seen_at > now() - interval '10 seconds')
  and (service <> 'webhooks' or exists (select from webhook_queues where is_enabled))
union all
select 'process gone or frozen', role || ' ' || instance, now() - seen_at
from instances where seen_at between now() - interval '15 minutes' and now() - interval '10 seconds'`

/** Findings of parts other than processes, by the table or view that they are read from. */
const PARTS = {
  pauses: `select 'pause by ' || paused_by, component || ': ' || reason, now() - paused_at
from pauses where resumed_at is null and (paused_until is null or paused_until > now())`,
  sessions: `select case when exists (
    select from pg_locks l where l.pid = a.pid and relation = 'outbox_lanes'::regclass and mode <> 'AccessShareLock'
  ) then 'session locks the outbox' else 'open transaction' end,
  'pid ' || pid || ' ' || application_name, now() - xact_start
from pg_stat_activity a where datname = current_database() and xact_start < now() - interval '10 seconds'`,
  outbox: `select 'outbox is late', topic, now() - min(created_at)
from outbox_messages group by topic having min(created_at) < now() - interval '10 seconds'`,
  provider: `select 'provider gave no answer', count(*) || ' payments', now() - min(created_at)
from (select created_at from payments where status = 'PENDING' and parked_at is null and attempts > 0 limit 1000) p
having count(*) > 0`,
  'dead letters': `select 'dead letters', source || ': ' || count(*), now() - min(died_at)
from dead_letters where resolved_at is null group by source`,
  webhooks: `select 'webhooks are late', count(*) || ' endpoints', now() - min(due_at)
from (select due_at from webhook_queues where is_enabled and not is_failing and due_at < now() - interval '10 seconds' limit 1000) q
having count(*) > 0`,
} as const

export type FindingPart = keyof typeof PARTS

export const FINDING_PARTS = Object.keys(PARTS) as readonly FindingPart[]

/** The query of docs/operations.md for the part that is down. A test compares them. */
export const FINDINGS_QUERY = [PROCESSES, ...Object.values(PARTS)].join('\nunion all\n')

/** A row of the query for the part that is down. */
export interface Finding {
  readonly finding: string
  readonly subject: string
  /** Time since it began, in milliseconds. */
  readonly sinceMs: number
}

/**
 * Runs one part of the query for the part that is down. Each is a statement of its own: a table that is locked or damaged
 * hides no finding of the others. `listInstances` reads the processes: two may have the same name, and only ids tell them apart.
 */
export async function readFindings(db: QueryExecutorProvider, part: FindingPart): Promise<Finding[]> {
  const { rows } = await sql<Finding>`
    select finding, subject, extract(epoch from since)::float8 * 1000 as "sinceMs"
    from (${sql.raw(PARTS[part])}) as found (finding, subject, since)`.execute(db)
  return rows
}

/** False if PostgreSQL shows this role only its own sessions. */
export async function seesAllSessions(db: QueryExecutorProvider): Promise<boolean> {
  const { rows } = await sql<{ sees: boolean }>`select pg_has_role('pg_read_all_stats', 'usage') as sees`.execute(db)
  return rows[0]?.sees ?? false
}

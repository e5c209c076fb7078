import { type Kysely, sql } from 'kysely'
import type { InstanceRole, Tables } from '../tables.ts'

const PRUNED_MAX = 1_000
const LISTED_MAX = 1_000
/** Names the lock under which one process at a time prunes. */
const PRUNING = sql<string>`hashtextextended('cashflow_instances ' || coalesce(current_schema(), ''), 0)`

/** What a process tells about itself. */
export interface Instance {
  /** Made at the start of the process. */
  readonly id: string
  readonly role: InstanceRole
  /** Host and process id. */
  readonly instance: string
  readonly version: string
  /** Time since the process started, in milliseconds. */
  readonly uptimeMs: number
  /** Counts since the start. */
  readonly counters: Readonly<Record<string, number>>
  /** Ready messages by queue, where the process looks at queues. */
  readonly queueDepths: Readonly<Record<string, number>> | undefined
}

/**
 * Writes the row of a process. All times are of the database's clock: the start is computed from the uptime, when the row
 * is new. A row that was pruned, or lost in a crash of the server, is written again. The transaction does not wait for a disk.
 */
export async function writeInstance(db: Kysely<Tables>, instance: Instance): Promise<void> {
  const { id, role, instance: name, version, uptimeMs, counters, queueDepths } = instance
  await db
    .with('unsynchronised', (qb) =>
      qb.selectNoFrom(({ fn, val, lit }) =>
        fn<string>('set_config', [val('synchronous_commit'), val('off'), lit(true)]).as('synchronous_commit'),
      ),
    )
    .insertInto('instances')
    .columns(['id', 'role', 'instance', 'version', 'started_at', 'counters', 'queue_depths'])
    .expression((eb) =>
      eb
        .selectFrom('unsynchronised') // Read, because PostgreSQL skips a query whose result is not read.
        .select([
          eb.cast<string>(eb.val(id), 'uuid').as('id'),
          eb.val(role).as('role'),
          eb.val(name).as('instance'),
          eb.val(version).as('version'),
          // As `sql`: the builder has no intervals.
          sql<Date>`clock_timestamp() - ${uptimeMs}::float8 * interval '1 millisecond'`.as('started_at'),
          eb.cast<string>(eb.val(JSON.stringify(counters)), 'jsonb').as('counters'),
          eb.cast<string | null>(eb.val(queueDepths ? JSON.stringify(queueDepths) : null), 'jsonb').as('queue_depths'),
        ]),
    )
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((eb) => ({
        seen_at: eb.fn<Date>('clock_timestamp'),
        counters: eb.ref('excluded.counters'),
        queue_depths: eb.ref('excluded.queue_depths'),
      })),
    )
    .execute()
}

/** The processes of a role. */
export interface RoleCount {
  readonly role: InstanceRole
  /** Number of processes seen in the last 10 seconds. */
  readonly running: number
  /** Number of processes seen in the last 15 minutes, but not in the last 30 seconds. They did not stop cleanly. */
  readonly lost: number
}

/** Counts the processes by role. It reads the 10,000 that started last. */
export async function countInstances(db: Kysely<Tables>): Promise<RoleCount[]> {
  // By the primary key: no other scan is enabled. The newest first: processes that restart all the time leave many rows.
  const read = db.selectFrom('instances').select(['role', 'seen_at']).orderBy('id', 'desc').limit(10_000)
  // As `sql`: the builder has no intervals, and its FILTER reads worse.
  return await db
    .selectFrom(read.as('i'))
    .select([
      'i.role',
      sql<number>`(count(*) filter (where seen_at > now() - interval '10 seconds'))::int`.as('running'),
      sql<number>`(count(*) filter (where seen_at between now() - interval '15 minutes' and now() - interval '30 seconds'))::int`.as(
        'lost',
      ),
    ])
    .groupBy('i.role')
    .execute()
}

/** A process as its row shows it. */
export interface SeenInstance extends Omit<Instance, 'uptimeMs' | 'queueDepths'> {
  readonly startedAt: Date
  readonly seenAt: Date
  /** Time since it was seen, by the database's clock, in milliseconds. */
  readonly ageMs: number
  /** Ready messages by queue. Null if the process looks at no queue, or has seen none. */
  readonly queueDepths: Readonly<Record<string, number>> | null
}

const COLUMNS = ['id', 'role', 'instance', 'version', 'started_at', 'seen_at', 'counters', 'queue_depths'] as const

/** Lists the processes that were seen in the last 15 minutes, the newest first. Reads the 1,000 that started last. */
export async function listInstances(db: Kysely<Tables>): Promise<SeenInstance[]> {
  // As `sql`: the builder has no intervals and no EXTRACT.
  const age = sql<number>`extract(epoch from clock_timestamp() - seen_at)::float8 * 1000`
  const read = db
    .selectFrom('instances')
    .select([...COLUMNS, age.as('age_ms')])
    .orderBy('id', 'desc')
    .limit(LISTED_MAX)
  const rows = await db
    .selectFrom(read.as('i'))
    .selectAll()
    .where(sql<boolean>`seen_at > now() - interval '15 minutes'`)
    .execute()
  return rows.map(({ started_at, seen_at, age_ms, queue_depths, ...row }) => ({
    ...row,
    startedAt: started_at,
    seenAt: seen_at,
    ageMs: age_ms,
    queueDepths: queue_depths,
  }))
}

export async function deleteInstance(db: Kysely<Tables>, id: string): Promise<void> {
  await db.deleteFrom('instances').where('id', '=', id).execute()
}

/**
 * Deletes up to 1,000 rows of processes that were not seen for a day. If another process prunes at the same time, it
 * deletes none.
 */
export async function pruneInstances(db: Kysely<Tables>): Promise<number> {
  const isOld = sql<boolean>`seen_at < now() - interval '1 day'` // The builder has no intervals.
  const { numDeletedRows } = await db
    .with(
      (cte) => cte('pruning').materialized(),
      (qb) => qb.selectNoFrom((eb) => eb.fn<boolean>('pg_try_advisory_xact_lock', [PRUNING]).as('is_ours')),
    )
    .deleteFrom('instances')
    // An array, not a join: PostgreSQL makes it once. The builder has no ARRAY.
    .where('id', '=', (eb) => {
      const old = eb
        .selectFrom(['pruning', 'instances as i'])
        .select('i.id')
        .where('pruning.is_ours', '=', true)
        .where(isOld)
        .orderBy('i.id') // By the primary key: no other scan is enabled.
        .limit(PRUNED_MAX)
      return sql<string>`any(array${old})`
    })
    // Judged again after the row is locked: a process that was frozen for a day may just have returned.
    .where(isOld)
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql } from 'kysely'

const RETRY_MS = 250
const REMIND_MS = 10_000

/**
 * Runs `work` while this session holds the migration lock. Of several runners each waits for its turn.
 * A runner that waits asks again and again, without a transaction: `create index concurrently` of the runner at work
 * waits for all older snapshots, and a waiting `pg_advisory_lock` would be one.
 */
export async function withMigrationLock<Any, Result>(
  session: Kysely<Any>,
  { logger, signal }: { logger: Logger; signal: AbortSignal },
  work: () => Promise<Result>,
): Promise<Result> {
  let remindAt = performance.now() + REMIND_MS
  while (!(await take(session))) {
    if (performance.now() >= remindAt) {
      logger.info('waiting for another migration', await holder(session))
      remindAt = performance.now() + REMIND_MS
    }
    await sleep(RETRY_MS, undefined, { signal })
  }
  try {
    return await work()
  } finally {
    // A session that is lost has lost its lock, too.
    await sql`select pg_advisory_unlock(${LOCK})`.execute(session).catch(() => {})
  }
}

// One for each schema: two systems in one database do not wait for each other.
const LOCK = sql`hashtextextended('cashflow_migration ' || coalesce(current_schema(), ''), 0)`

async function take<Any>(session: Kysely<Any>): Promise<boolean> {
  const { rows } = await sql<{ taken: boolean }>`select pg_try_advisory_lock(${LOCK}) as taken`.execute(session)
  return rows[0]?.taken ?? false
}

async function holder<Any>(session: Kysely<Any>): Promise<{ pid?: number }> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_locks
    where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
      and (classid::bigint << 32 | objid::bigint) = ${LOCK} and objsubid = 1`.execute(session)
  return { ...rows[0] }
}

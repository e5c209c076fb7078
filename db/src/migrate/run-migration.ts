import { pause } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql, type Transaction } from 'kysely'
import { type MigrationTables, recordApplied, recordSteps, stepsDone } from './ledger.ts'
import type { Step, SteppedMigration, WholeMigration } from './migration-file.ts'

/** One run of `migrate`, from taking the migration lock to releasing it. */
export interface Run {
  /** The only session that changes the database. It holds the migration lock, and no transaction between statements. */
  readonly session: Kysely<MigrationTables>
  /** PostgreSQL process id of `session`. */
  readonly pid: number
  /** Sessions for looking at `session` from outside. */
  readonly pool: Kysely<MigrationTables>
  readonly logger: Logger
  readonly signal: AbortSignal
}

// While the migration waits for a lock, statements of services wait behind it. Services limit that wait to the same time,
// and retry.
const LOCK_TIMEOUT_MS = 2_000
const RETRY_FIRST_MS = 2_000
const RETRY_MAX_MS = 30_000
const BLOCKERS_READ_MS = 500
const BLOCKERS_LOG_MS = 10_000

/** Runs a migration in one transaction, together with the record that it was applied. */
export async function runWhole(run: Run, { name, text }: WholeMigration): Promise<void> {
  await retryInTransaction(run, { migration: name }, async (tx) => {
    await sql.raw(text).execute(tx) // The text of a migration's file.
    await recordApplied(tx, name)
  })
}

/**
 * Runs `work` in one transaction, and repeats that until no lock is missing.
 *
 * @param about what the log lines of a retry are about
 */
export async function retryInTransaction(
  run: Run,
  about: object,
  work: (tx: Transaction<MigrationTables>) => Promise<void>,
): Promise<void> {
  await retryLocks(run, about, () => inTransaction(run.session, work))
}

/** Runs the steps that are not recorded as done, and records each of them: the next run resumes one that was killed. */
export async function runSteps(run: Run, { name, steps }: SteppedMigration): Promise<void> {
  const done = await stepsDone(run.session, name)
  for (const [index, step] of steps.entries()) {
    if (index < done) continue
    const about = { migration: name, step: index + 1, of: steps.length }
    run.logger.info('migration step begins', about)
    await retryLocks(run, about, async () => {
      if (step.kind === 'plain')
        return inTransaction(run.session, async (tx) => {
          await sql.raw(step.text).execute(tx) // The text of a migration's file.
          await recordSteps(tx, name, index + 1)
        })
      await runConcurrently(run.session, step)
      await recordSteps(run.session, name, index + 1)
    })
  }
  await recordApplied(run.session, name)
}

/** Repeats `work` until it fails neither at the lock timeout nor in a deadlock. */
async function retryLocks(run: Run, about: object, work: () => Promise<void>): Promise<void> {
  const { logger, signal } = run
  const watch = watchBlockers(run, (waitsFor) =>
    logger.info('migration waits for other sessions', { ...about, waits_for: waitsFor }),
  )
  try {
    for (let retryMs = RETRY_FIRST_MS; ; retryMs = Math.min(RETRY_MAX_MS, 2 * retryMs)) {
      signal.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        if (!hasCode(error, '55P03', '40P01')) throw error
        const waitsFor = watch.lastSeen()
        logger.warn('migration could not get a lock, retrying', { ...about, retry_ms: retryMs, waits_for: waitsFor })
      }
      await pause(retryMs, signal)
    }
  } finally {
    watch.stop()
  }
}

/** Sessions that block another one. */
type Blockers = readonly {
  readonly pid: number
  readonly application: string
  readonly state: string
  /** Age of the session's transaction, in seconds. */
  readonly transaction_s: number
}[]

/**
 * Reads every 500 ms, through another session, which sessions block the run's session.
 *
 * @param report called with the blocking sessions at most every 10 s
 */
function watchBlockers({ pool, pid }: Run, report: (blockers: Blockers) => void) {
  let lastSeen: Blockers = []
  let reading = false
  let reportAt = performance.now() + BLOCKERS_LOG_MS
  const read = async () => {
    if (reading) return
    reading = true
    try {
      const blockers = await blockersOf(pool, pid)
      if (blockers.length === 0) return
      lastSeen = blockers
      if (performance.now() < reportAt) return
      reportAt = performance.now() + BLOCKERS_LOG_MS
      report(blockers)
    } catch {
      // The watch only informs. If PostgreSQL fails, the migration's own statement fails too, and reports it.
    } finally {
      reading = false
    }
  }
  const timer = setInterval(read, BLOCKERS_READ_MS)
  return { lastSeen: () => lastSeen, stop: () => clearInterval(timer) }
}

async function blockersOf(db: Kysely<MigrationTables>, pid: number): Promise<Blockers> {
  // As `sql`: the builder has no types for PostgreSQL's own views.
  const { rows } = await sql<Blockers[number]>`
    select a.pid, a.application_name as application, coalesce(a.state, '') as state,
      coalesce(round(extract(epoch from clock_timestamp() - a.xact_start)), 0)::int as transaction_s
    from unnest(pg_blocking_pids(${pid})) as blocking (pid) join pg_stat_activity a using (pid)`.execute(db)
  return rows
}

async function inTransaction(
  session: Kysely<MigrationTables>,
  work: (tx: Transaction<MigrationTables>) => Promise<void>,
): Promise<void> {
  await session.transaction().execute(async (tx) => {
    await setConfig(tx, { lock_timeout: String(LOCK_TIMEOUT_MS), statement_timeout: '0' }, 'transaction')
    await work(tx)
  })
}

/**
 * Creates or drops an index without a lock or statement timeout. The statement waits for older snapshots, and blocks no
 * service while it waits. With a timeout, one long report would end each attempt. An attempt that ends leaves an invalid
 * index, which `if not exists` would accept as a good one.
 */
async function runConcurrently(
  session: Kysely<MigrationTables>,
  { text, index, creates }: Step & { kind: 'concurrently' },
): Promise<void> {
  const limits = await session
    .selectNoFrom(({ fn, val }) => [
      fn<string>('current_setting', [val('lock_timeout')]).as('lock_timeout'),
      fn<string>('current_setting', [val('statement_timeout')]).as('statement_timeout'),
    ])
    .executeTakeFirstOrThrow()
  await setConfig(session, { lock_timeout: '0', statement_timeout: '0' }, 'session')
  try {
    if (creates) await dropInvalid(session, index)
    await sql.raw(text).execute(session) // The text of a migration's file.
  } catch (error) {
    // Duplicates left an invalid index: until the next run, each insert would pay for it in vain.
    if (isUniqueViolation(error)) await dropInvalid(session, index)
    throw error
  } finally {
    await setConfig(session, limits, 'session').catch(() => {}) // Fails only if the session is lost, and its limits with it.
  }
}

/** Sets settings of the session, or only of its transaction. */
export async function setConfig(
  db: Kysely<MigrationTables>,
  settings: Readonly<Record<string, string>>,
  scope: 'session' | 'transaction',
): Promise<void> {
  const set = Object.entries(settings)
  await db
    .selectNoFrom(({ fn, val, lit }) =>
      set.map(([name, value]) => fn('set_config', [val(name), val(value), lit(scope === 'transaction')]).as(name)),
    )
    .execute()
}

async function dropInvalid(session: Kysely<MigrationTables>, index: string): Promise<void> {
  // As `sql`: the builder has no types for PostgreSQL's own tables, and no `drop index concurrently`.
  const { rows } = await sql`
    select 1 from pg_index where indexrelid = to_regclass(${index}) and not indisvalid`.execute(session)
  if (rows.length > 0) await sql`drop index concurrently if exists ${sql.id(index)}`.execute(session)
}

export function isUniqueViolation(error: unknown): boolean {
  return hasCode(error, '23505')
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

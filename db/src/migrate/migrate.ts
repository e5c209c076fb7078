import { pause } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { agreeOnMode, CREATES_DEPLOYMENT, storeMode, type WantedMode } from './deployment.ts'
import { ADDS_UNIQUE_INDEXES, CREATES_TABLES, clearDuplicates } from './duplicates.ts'
import { completeLedger, type LedgerTables, type MigrationTables, readLedger } from './ledger.ts'
import { CREATES_MERCHANTS, ensureMerchantNames, MAKES_NAMES_UNIQUE } from './merchant-names.ts'
import { type Migration, readMigrations } from './migration-file.ts'
import { forgetRestoredXids, ORDERS_EVENTS } from './restored-events.ts'
import { isUniqueViolation, type Run, runSteps, runWhole } from './run-migration.ts'
import { servicesWithout } from './schema.ts'

const LOCK_RETRY_MS = 250
const LOCK_REMIND_MS = 10_000

export interface MigrateOptions {
  /** Path of the folder that holds the `.sql` files. */
  folder: string
  logger: Logger
  wanted: WantedMode
  /** Makes duplicate rows unique. Without it, the first duplicate fails the run. */
  setAsideDuplicates?: boolean
  /** Ends the run, also in the middle of a statement. The next run resumes it. */
  signal?: AbortSignal
}

export interface Migrated {
  /** Names of the migrations that this run applied. */
  readonly applied: readonly string[]
  /** Migrations left for a later run, each with the connected services that do not allow it yet. */
  readonly left: readonly { readonly migration: string; readonly services: readonly string[] }[]
}

/**
 * Applies the migrations that the database lacks. There is no way back. Any number of runs may start at the same time,
 * and each may be killed at any time.
 *
 * @param db a pool of at least two sessions
 * @throws ModeError before anything is changed, if the database has another mode, or may not get the wanted one
 * @throws MerchantNamesError before anything is changed, if two merchants have one name
 * @throws DuplicatesError before the schema is changed, if rows that must be unique are stored twice
 */
export async function migrate(db: Kysely<Tables>, options: MigrateOptions): Promise<Migrated> {
  const { folder, logger, signal = new AbortController().signal } = options
  const migrations = await readMigrations(folder)
  const pool = db.withTables<LedgerTables>()
  return pool.connection().execute(async (session) => {
    const { pid } = await session.selectNoFrom(sql<number>`pg_backend_pid()`.as('pid')).executeTakeFirstOrThrow()
    const run = { session, pid, pool, logger, signal }
    const stopCancelling = cancelOnAbort(run)
    try {
      return await withMigrationLock(run, () => applyMissing(run, migrations, options))
    } finally {
      stopCancelling()
    }
  })
}

/** When the signal aborts, cancels the session's statement: creating an index may take an hour. */
function cancelOnAbort({ pool, pid, signal }: Run): () => void {
  signal.throwIfAborted()
  const cancelling = pool.selectNoFrom((eb) => eb.fn('pg_cancel_backend', [eb.val(pid)]).as('cancelled'))
  const cancel = () => void cancelling.execute().catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  return () => signal.removeEventListener('abort', cancel)
}

/**
 * Runs `work` while the session holds the migration lock, so that only one run changes the schema at a time.
 *
 * `create index concurrently` waits for all older snapshots, and a session that waits in `pg_advisory_lock` holds one:
 * two runs would deadlock. So a run that waits polls `pg_try_advisory_lock`, outside of a transaction.
 */
async function withMigrationLock<Result>(
  { session, logger, signal }: Run,
  work: () => Promise<Result>,
): Promise<Result> {
  let remindAt = performance.now() + LOCK_REMIND_MS
  while (!(await tryMigrationLock(session))) {
    if (performance.now() >= remindAt) {
      logger.info('waiting for another run of migrate to end', { pid: await lockHolder(session) })
      remindAt = performance.now() + LOCK_REMIND_MS
    }
    await pause(LOCK_RETRY_MS, signal)
    signal.throwIfAborted()
  }
  try {
    return await work()
  } finally {
    // Fails only if the session is lost. PostgreSQL has released its lock then.
    const unlocking = session.selectNoFrom((eb) => eb.fn('pg_advisory_unlock', [LOCK]).as('unlocked'))
    await unlocking.execute().catch(() => {})
  }
}

// The lock's key contains the schema: two systems in one database do not wait for each other.
const LOCK = sql`hashtextextended('cashflow_migration ' || coalesce(current_schema(), ''), 0)`

async function tryMigrationLock(session: Kysely<MigrationTables>): Promise<boolean> {
  const { taken } = await session
    .selectNoFrom((eb) => eb.fn<boolean>('pg_try_advisory_lock', [LOCK]).as('taken'))
    .executeTakeFirstOrThrow()
  return taken
}

/** Returns the PostgreSQL process id of the run that holds the lock, or undefined if that run has ended. */
async function lockHolder(session: Kysely<MigrationTables>): Promise<number | undefined> {
  // As `sql`: the builder has no types for PostgreSQL's own views.
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_locks
    where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
      and (classid::bigint << 32 | objid::bigint) = ${LOCK} and objsubid = 1`.execute(session)
  return rows[0]?.pid
}

async function applyMissing(
  run: Run,
  migrations: readonly Migration[],
  { wanted, setAsideDuplicates = false }: MigrateOptions,
): Promise<Migrated> {
  const names = migrations.map(({ name }) => name)
  const ledger = await readLedger(run.session, names)
  await agreeOnMode(run, wanted, ledger)
  const missing = migrations.filter(({ name }) => !ledger.applied.has(name))
  const isBefore = (wanted: string) => missing.some(({ name }) => name === wanted)
  if (isBefore(MAKES_NAMES_UNIQUE) && ledger.applied.has(CREATES_MERCHANTS)) await ensureMerchantNames(run)
  if (isBefore(ADDS_UNIQUE_INDEXES) && ledger.applied.has(CREATES_TABLES))
    await clearDuplicates(run, setAsideDuplicates)
  await completeLedger(run.session, ledger)
  const applied: string[] = []
  const left: { migration: string; services: string[] }[] = []
  for (const migration of missing) {
    const after = migration.kind === 'steps' ? migration.after : undefined
    const services = after === undefined ? [] : await servicesWithout(run.session, after)
    if (services.length > 0) {
      left.push({ migration: migration.name, services })
      continue
    }
    await apply(run, migration, setAsideDuplicates)
    applied.push(migration.name)
  }
  if (names.includes(CREATES_DEPLOYMENT)) await storeMode(run, wanted)
  if (names.includes(ORDERS_EVENTS)) await forgetRestoredXids(run)
  return { applied, left }
}

async function apply(run: Run, migration: Migration, setAsideDuplicates: boolean): Promise<void> {
  for (;;) {
    try {
      if (migration.kind === 'whole') return await runWhole(run, migration)
      return await runSteps(run, migration)
    } catch (error) {
      if (migration.name !== ADDS_UNIQUE_INDEXES || !isUniqueViolation(error)) throw error
      // Services of the version before may have stored duplicates since the search in applyMissing.
      if (!(await clearDuplicates(run, setAsideDuplicates))) throw error
    }
  }
}

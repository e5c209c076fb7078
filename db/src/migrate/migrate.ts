import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql } from 'kysely'
import { findDuplicates, listDuplicates, MADE_TABLES, REFUSES_DUPLICATES, setAside } from './duplicates.ts'
import { completeLedger, readLedger } from './ledger.ts'
import { withMigrationLock } from './lock.ts'
import { type Migration, readMigrations } from './migration-file.ts'
import { isDuplicate, type Run, runSteps, runWhole } from './run-step.ts'
import { servicesWithout } from './schema.ts'

export interface MigrateOptions {
  /** Of the `.sql` files. */
  folder: string
  logger: Logger
  /** Whether duplicates are made unique instead of refused. */
  setAsideDuplicates?: boolean
  /** Ends the run, also in the middle of a statement. The next run resumes it. */
  signal?: AbortSignal
}

export interface Migrated {
  /** What was applied now. */
  readonly applied: readonly string[]
  /** What is left for a later run, because of these connected services. */
  readonly left: readonly { readonly migration: string; readonly services: readonly string[] }[]
}

/**
 * Applies what is missing, forward only. Any number of runners may start at once, and each may be killed at any time.
 *
 * @param db a pool of at least two sessions
 * @throws DuplicatesError before anything is changed, where rows are stored twice that must be unique
 */
// biome-ignore lint/suspicious/noExplicitAny: migrations come before the tables whose types they would need.
export async function migrate(db: Kysely<any>, options: MigrateOptions): Promise<Migrated> {
  const { folder, logger, signal = new AbortController().signal } = options
  const migrations = await readMigrations(folder)
  return db.connection().execute(async (session) => {
    const stopCancelling = await cancelOnAbort(session, db, signal)
    try {
      const run = { session, db, logger, signal }
      return await withMigrationLock(session, run, () => applyMissing(run, migrations, options))
    } finally {
      stopCancelling()
    }
  })
}

async function applyMissing<Any>(
  run: Run<Any>,
  migrations: readonly Migration[],
  { setAsideDuplicates = false }: MigrateOptions,
): Promise<Migrated> {
  const names = migrations.map(({ name }) => name)
  const ledger = await readLedger(run.session, names)
  const missing = migrations.filter(({ name }) => !ledger.applied.has(name))
  const refuses = missing.some(({ name }) => name === REFUSES_DUPLICATES)
  if (refuses && ledger.applied.has(MADE_TABLES)) await clearDuplicates(run, setAsideDuplicates)
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
  return { applied, left }
}

async function apply<Any>(run: Run<Any>, migration: Migration, setAsideDuplicates: boolean): Promise<void> {
  for (;;) {
    try {
      if (migration.kind === 'whole') return await runWhole(run, migration)
      return await runSteps(run, migration)
    } catch (error) {
      // Services of the version before were at work since the look.
      if (migration.name !== REFUSES_DUPLICATES || !isDuplicate(error)) throw error
      if (!(await clearDuplicates(run, setAsideDuplicates))) throw error
    }
  }
}

/** @returns whether there were any */
async function clearDuplicates<Any>({ session, logger }: Run<Any>, setAsideDuplicates: boolean): Promise<boolean> {
  const found = await findDuplicates(session)
  if (found.length === 0) return false
  if (!setAsideDuplicates) throw listDuplicates(found, logger)
  await setAside(session, found, logger)
  return true
}

/** Has PostgreSQL end the statement that the session is at when the signal aborts: an index may take an hour. */
async function cancelOnAbort<Any>(session: Kysely<Any>, db: Kysely<Any>, signal: AbortSignal): Promise<() => void> {
  signal.throwIfAborted()
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(session)
  const cancel = () => void sql`select pg_cancel_backend(${rows[0]?.pid})`.execute(db).catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  return () => signal.removeEventListener('abort', cancel)
}

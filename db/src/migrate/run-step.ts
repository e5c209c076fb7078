import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql, type Transaction } from 'kysely'
import { recordApplied, recordSteps, stepsDone } from './ledger.ts'
import type { Step, SteppedMigration, WholeMigration } from './migration-file.ts'
import { watchBlockers } from './watch.ts'

export interface Run<Any> {
  /** The only session that changes anything: it holds the migration lock, and no transaction between statements. */
  readonly session: Kysely<Any>
  /** A pool, to see what the session waits for. */
  readonly db: Kysely<Any>
  readonly logger: Logger
  readonly signal: AbortSignal
}

// Services queue behind a lock that waits. Their own limit is as long, and they run again what it ends.
const LOCK_MS = 2_000
const PAUSE_FIRST_MS = 2_000
const PAUSE_MAX_MS = 30_000

export async function runWhole<Any>(run: Run<Any>, { name, text }: WholeMigration): Promise<void> {
  await retried(run, { migration: name }, () =>
    inTransaction(run.session, async (tx) => {
      await sql.raw(text).execute(tx)
      await recordApplied(tx, name)
    }),
  )
}

/** Runs the steps that are not recorded as done. Each is recorded, so that a run that was killed is resumed. */
export async function runSteps<Any>(run: Run<Any>, { name, steps }: SteppedMigration): Promise<void> {
  const done = await stepsDone(run.session, name)
  for (const [index, step] of steps.entries()) {
    if (index < done) continue
    const about = { migration: name, step: index + 1, of: steps.length }
    run.logger.info('migration step begins', about)
    await retried(run, about, async () => {
      if (step.kind === 'plain')
        return inTransaction(run.session, async (tx) => {
          await sql.raw(step.text).execute(tx)
          await recordSteps(tx, name, index + 1)
        })
      await runConcurrently(run.session, step)
      await recordSteps(run.session, name, index + 1)
    })
  }
  await recordApplied(run.session, name)
}

/** Repeats `work` for as long as other sessions hold locks that it needs, or deadlock with it. */
async function retried<Any>({ session, db, logger, signal }: Run<Any>, about: object, work: () => Promise<void>) {
  const watch = await watchBlockers(session, db, (waitsFor) =>
    logger.info('migration goes on, and waits for other sessions', { ...about, waits_for: waitsFor }),
  )
  try {
    for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs)) {
      signal.throwIfAborted()
      try {
        return await work()
      } catch (error) {
        if (!isLockConflict(error)) throw error
        const waitsFor = watch.seen()
        logger.warn('migration could not get a lock, and tries again', {
          ...about,
          retry_ms: pauseMs,
          waits_for: waitsFor,
        })
      }
      await sleep(pauseMs, undefined, { signal })
    }
  } finally {
    watch.stop()
  }
}

function isLockConflict(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '55P03' || error.code === '40P01')
}

async function inTransaction<Any>(session: Kysely<Any>, work: (tx: Transaction<Any>) => Promise<void>): Promise<void> {
  await session.transaction().execute(async (tx) => {
    await sql`select set_config('lock_timeout', ${String(LOCK_MS)}, true), set_config('statement_timeout', '0', true)`.execute(
      tx,
    )
    await work(tx)
  })
}

/**
 * Has no limits: it blocks no service while it waits for older snapshots. While a long report runs, any limit would end
 * it each time. What such an end leaves is an invalid index, which "if not exists" would take for a good one.
 */
async function runConcurrently<Any>(session: Kysely<Any>, step: Step & { kind: 'concurrently' }): Promise<void> {
  const { rows } = await sql<{ lock: string; statement: string }>`
    select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`.execute(session)
  const limits = rows[0] ?? { lock: '0', statement: '0' }
  await setLimits(session, { lock: '0', statement: '0' })
  try {
    if (step.creates) await dropInvalid(session, step.index)
    await sql.raw(step.text).execute(session)
  } catch (error) {
    // Duplicates: the index would cost each insert for nothing until the next run.
    if (isDuplicate(error)) await dropInvalid(session, step.index)
    throw error
  } finally {
    await setLimits(session, limits).catch(() => {}) // Where the session is lost, its limits are too.
  }
}

export function isDuplicate(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505'
}

async function setLimits<Any>(session: Kysely<Any>, { lock, statement }: { lock: string; statement: string }) {
  await sql`select set_config('lock_timeout', ${lock}, false), set_config('statement_timeout', ${statement}, false)`.execute(
    session,
  )
}

async function dropInvalid<Any>(session: Kysely<Any>, index: string): Promise<void> {
  const { rows } = await sql`
    select 1 from pg_index where indexrelid = to_regclass(${index}) and not indisvalid`.execute(session)
  if (rows.length > 0) await sql`drop index concurrently if exists ${sql.id(index)}`.execute(session)
}

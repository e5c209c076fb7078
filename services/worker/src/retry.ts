import { fullJitterMs, type Loops, pause } from '@cashflow/async'
import { isAway, isPermanent, mayBeItemsOwn, type Tables, waitForStandby } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'

const DELAY_MIN_MS = 20
const DELAY_BASE_MS = 1_000
const DELAY_MAX_MS = 2_000
// An internal error may pass, such as an error while a table is being altered. The error of a damaged row stays.
const OWN_ERRORS_MAX = 3
const OWN_DELAY_MAX_MS = 100
// Longer than any lock of Cashflow: another session holds the row, such as an operator's.
const LOCKED_MAX_MS = 60_000

export interface RetryOptions {
  signal: AbortSignal
  logger: Logger
  random?: (() => number) | undefined
  /** Gets each attempt of a transaction, so that /livez notices one that hangs. */
  loops?: Loops | undefined
  now?: (() => number) | undefined
}

/**
 * Runs idempotent work on the database again while it fails with a transient error:
 * - The database is away, slow or in conflict: without limit.
 * - The item itself may have caused the error: three attempts.
 * - Another session has locked the row: for a minute.
 *
 * @param work gets `again`: an earlier attempt failed, and may have committed all the same
 * @throws the error that another attempt cannot change, or the signal's reason
 */
export async function retryWhileUnavailable<Result>(
  work: (again: boolean) => Promise<Result>,
  { signal, logger, random, now = () => performance.now() }: RetryOptions,
): Promise<Result> {
  let ownErrors = 0
  let lockedSince: number | undefined
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      return await work(attempt > 1)
    } catch (error) {
      if (isPermanent(error)) throw error
      const isOwn = mayBeItemsOwn(error)
      if (isOwn) ownErrors += 1
      lockedSince = isLocked(error) ? (lockedSince ?? now()) : undefined
      const isLockedTooLong = lockedSince !== undefined && now() - lockedSince > LOCKED_MAX_MS
      if (ownErrors === OWN_ERRORS_MAX || isLockedTooLong) throw error
      logger.warn(`${isAway(error) ? 'database away' : 'statement failed'}, trying again`, { attempt, error })
      const capMs = isOwn ? OWN_DELAY_MAX_MS : DELAY_MAX_MS
      await pause(DELAY_MIN_MS + fullJitterMs(attempt, { baseMs: DELAY_BASE_MS, capMs, random }), signal)
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}

/**
 * Runs a transaction with `retryWhileUnavailable`. A repeated transaction may find its work done and write nothing. Its
 * COMMIT would then not wait for the synchronous standby, so it waits explicitly.
 */
export function transact<Result>(
  db: Kysely<Tables>,
  work: (tx: Transaction<Tables>, again: boolean) => Promise<Result>,
  options: RetryOptions,
): Promise<Result> {
  const execute = (again: boolean) =>
    db.transaction().execute(async (tx) => {
      if (again) await waitForStandby(tx)
      return await work(tx, again)
    })
  const { loops } = options
  const run = (again: boolean) => (loops ? loops.track('transaction', execute(again)) : execute(again))
  return retryWhileUnavailable(run, options)
}

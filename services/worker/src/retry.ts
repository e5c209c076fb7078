import { setTimeout as sleep } from 'node:timers/promises'
import { isAway, isPermanent, mayBeItemsOwn, type Tables, waitForStandby } from '@cashflow/db'
import { retryDelayMs } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'

const DELAY_MAX_MS = 2_000
// An internal error may pass, such as that of a table that is being altered. A damaged row does not.
const OWN_MAX = 3
const OWN_DELAY_MAX_MS = 100
// Longer than any lock of ours: a session elsewhere holds the row, such as an operator's.
const LOCKED_MAX_MS = 60_000

export interface RetryOptions {
  signal: AbortSignal
  logger: Logger
  random?: (() => number) | undefined
  now?: (() => number) | undefined
}

/**
 * Runs an idempotent transaction again for as long as the database is away, slow or in conflict. What the item itself may
 * have caused is tried three times, and a row that another session has locked for a minute. `again`: an earlier run
 * failed, and may have committed all the same.
 *
 * @throws what repeating does not change, or the signal's reason
 */
export async function retryWhileUnavailable<Result>(
  work: (again: boolean) => Promise<Result>,
  { signal, logger, random, now = () => performance.now() }: RetryOptions,
): Promise<Result> {
  let own = 0
  let lockedSince: number | undefined
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      return await work(attempt > 1)
    } catch (error) {
      if (isPermanent(error)) throw error
      const isOwn = mayBeItemsOwn(error)
      if (isOwn) own += 1
      lockedSince = isLocked(error) ? (lockedSince ?? now()) : undefined
      if (own === OWN_MAX || (lockedSince !== undefined && now() - lockedSince > LOCKED_MAX_MS)) throw error
      logger.warn(`${isAway(error) ? 'database away' : 'statement failed'}, trying again`, { attempt, error })
      const delayMaxMs = isOwn ? OWN_DELAY_MAX_MS : DELAY_MAX_MS
      await sleep(20 + Math.min(delayMaxMs, retryDelayMs(attempt, random)), undefined, { signal })
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}

/**
 * The same for work within a transaction. Run again, it may find that all is done and write nothing; its COMMIT waits for
 * the synchronous standby all the same.
 */
export function transact<Result>(
  db: Kysely<Tables>,
  work: (tx: Transaction<Tables>, again: boolean) => Promise<Result>,
  options: RetryOptions,
): Promise<Result> {
  const run = (again: boolean) =>
    db.transaction().execute(async (tx) => {
      if (again) await waitForStandby(tx)
      return await work(tx, again)
    })
  return retryWhileUnavailable(run, options)
}

import { setTimeout as sleep } from 'node:timers/promises'
import { isFault, type Tables, waitForStandby } from '@cashflow/db'
import { retryDelayMs } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'

const DELAY_MAX_MS = 2_000

export interface PersistOptions {
  signal: AbortSignal
  logger: Logger
  random?: (() => number) | undefined
}

/**
 * Runs an idempotent transaction again for as long as the database is away, in conflict or in trouble of its own. `again`:
 * an earlier run failed, and may have committed all the same.
 *
 * @throws what repeating does not mend, or the signal's reason
 */
export async function persist<Result>(
  work: (again: boolean) => Promise<Result>,
  { signal, logger, random }: PersistOptions,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      return await work(attempt > 1)
    } catch (error) {
      if (isFault(error)) throw error
      logger.warn('database away, trying again', { attempt, error })
    }
    await sleep(20 + Math.min(DELAY_MAX_MS, retryDelayMs(attempt, random)), undefined, { signal })
  }
}

/**
 * The same for work within a transaction. Run again, it may find that all is done and write nothing; its COMMIT waits for
 * the synchronous standby all the same.
 */
export function transact<Result>(
  db: Kysely<Tables>,
  work: (tx: Transaction<Tables>, again: boolean) => Promise<Result>,
  options: PersistOptions,
): Promise<Result> {
  const run = (again: boolean) =>
    db.transaction().execute(async (tx) => {
      if (again) await waitForStandby(tx)
      return await work(tx, again)
    })
  return persist(run, options)
}

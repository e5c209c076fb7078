import { type FeedHolder, type FeedPage, findFeedHolder, type Tables } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'

const DELAYED_MS = 10_000
const LOG_EVERY_MS = 60_000

/** Logs which transaction holds the event feed up for over 10 seconds: when a page shows it, at most once a minute. */
export function createFeedDelayLog(
  db: Kysely<Tables>,
  logger: Logger,
  { now = () => performance.now() }: { now?: () => number } = {},
) {
  let nextAt = Number.NEGATIVE_INFINITY
  return async ({ delayedMs, horizon }: FeedPage): Promise<void> => {
    if (delayedMs < DELAYED_MS || now() < nextAt) return
    nextAt = now() + LOG_EVERY_MS
    const fields = { delayed_ms: delayedMs, xid: horizon }
    try {
      logger.warn('events are not shown yet, an older transaction runs', {
        ...fields,
        ...holderFields(await findFeedHolder(db, horizon)),
      })
    } catch (error) {
      // The page does not need the log line.
      logger.warn('events are not shown yet, an older transaction runs that cannot be found', { ...fields, error })
    }
  }
}

function holderFields({ pid, gid, application, database }: Partial<FeedHolder> = {}) {
  return { pid: pid ?? undefined, gid: gid ?? undefined, application: application ?? undefined, database }
}

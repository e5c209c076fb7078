import { type FeedHolder, type FeedPage, findFeedHolder, type StoredEvent, type Tables } from '@cashflow/db'
import { eventId } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'

const DELAYED_MS = 10_000
const LOG_EVERY_MS = 60_000

/**
 * Logs what holds an event feed up: a transaction for over 10 seconds, or an event that this version cannot show. When a page
 * shows it, at most once a minute.
 */
export function createFeedDelayLog(
  db: Kysely<Tables>,
  logger: Logger,
  { now = () => performance.now() }: { now?: () => number } = {},
) {
  let nextAt = Number.NEGATIVE_INFINITY
  let nextStopAt = Number.NEGATIVE_INFINITY

  function logStop(event: StoredEvent): void {
    if (now() < nextStopAt) return
    nextStopAt = now() + LOG_EVERY_MS
    logger.error('a feed stops before an event in a currency that this version does not know', {
      event_id: eventId(event.paymentId, event.sequence),
      currency: event.payment?.currency,
    })
  }

  return async ({ delayedMs, horizon, stoppedBy }: FeedPage): Promise<void> => {
    if (stoppedBy) return logStop(stoppedBy)
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

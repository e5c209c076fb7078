import { createThrottle, Loops } from '@cashflow/async'
import type { Kysely } from 'kysely'

/** The channel that relays LISTEN to. */
export const OUTBOX_CHANNEL = 'outbox'

const INTERVAL_MS = 10

export type Notifier = ReturnType<typeof createNotifier>

/**
 * Log lines for `fails` of `createNotifier`. A notification fails, for example, when PostgreSQL's queue of notifications is
 * full because a session listens within a transaction.
 */
export const NOTIFY_FAILS = {
  message: 'relays could not be notified of new messages, they find them 200 ms later',
  ended: 'relays are notified of new messages again',
}

/**
 * Notifies relays at once, then at most once in 10 ms (leading edge, coalesced). Call it after COMMIT, never within the
 * transaction: there, NOTIFY serialises the commits of the whole server.
 *
 * @param fails called when a notification fails, and when one succeeds
 */
export function createNotifier<Tables>(
  db: Kysely<Tables>,
  fails?: { holds(fields: { error: unknown }): void; ended(): void },
) {
  const notification = db.selectNoFrom(({ fn, val }) => fn('pg_notify', [val(OUTBOX_CHANNEL), val('')]).as('sent'))
  // When it fails, polling finds the messages all the same.
  const loops = new Loops()
  const send = () =>
    loops.track('notifier', notification.execute()).then(
      () => fails?.ended(),
      (error) => fails?.holds({ error }),
    )
  return {
    /** For /livez: the notification that is being sent. */
    loops,
    /** Notifies relays of a commit. A hint: it never fails, and a lost notification costs one poll interval. */
    notify: createThrottle(send, INTERVAL_MS),
  }
}

import { type Kysely, sql } from 'kysely'

/** What relays LISTEN to. */
export const OUTBOX_CHANNEL = 'outbox'

const INTERVAL_MS = 10

export interface Notifier {
  /** Tells relays that something was committed. A hint: it never fails, and a lost one costs a poll interval. */
  notify(): void
}

/** What is told when a notification fails, and when one succeeds. */
export interface NotifyCondition {
  holds(fields: { error: unknown }): void
  isOver(): void
}

/** For the log. Such as a full queue of notifications, which a session fills that listens within a transaction. */
export const NOTIFY_FAILS = {
  message: 'relays could not be told of new messages, they find them 200 ms later',
  over: 'relays are told of new messages again',
}

/**
 * Sends at once, then at most once in 10 ms (leading edge, coalesced). Call it after COMMIT, never within: NOTIFY in a
 * transaction serialises the commits of the whole server.
 */
export function createNotifier<Tables>(db: Kysely<Tables>, fails?: NotifyCondition): Notifier {
  let cooling = false
  let again = false

  async function send(): Promise<void> {
    cooling = true
    again = false
    const cooled = new Promise<void>((resolve) => setTimeout(resolve, INTERVAL_MS).unref())
    await sql`select pg_notify(${OUTBOX_CHANNEL}, '')`.execute(db).then(
      () => fails?.isOver(),
      (error) => fails?.holds({ error }), // Polling is the guarantee.
    )
    await cooled
    cooling = false
    if (again) void send()
  }

  return {
    notify() {
      if (cooling) again = true
      else void send()
    },
  }
}

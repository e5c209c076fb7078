import { type Kysely, sql } from 'kysely'

/** What relays LISTEN to. */
export const OUTBOX_CHANNEL = 'outbox'

const INTERVAL_MS = 10

export interface Notifier {
  /** Tells relays that something was committed. A hint: it never fails, and a lost one costs a poll interval. */
  notify(): void
}

/**
 * Sends at once, then at most once in 10 ms (leading edge, coalesced). Call it after COMMIT, never within: NOTIFY in a
 * transaction serialises the commits of the whole server.
 */
export function createNotifier<Tables>(db: Kysely<Tables>): Notifier {
  let cooling = false
  let again = false

  async function send(): Promise<void> {
    cooling = true
    again = false
    const cooled = new Promise<void>((resolve) => setTimeout(resolve, INTERVAL_MS).unref())
    await sql`select pg_notify(${OUTBOX_CHANNEL}, '')`.execute(db).catch(() => {}) // Polling is the guarantee.
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

import { createThrottle, Loops } from '@cashflow/async'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

/** The channel on which APIs hear of settled payments. A notification has their ids, separated by commas. */
export const SETTLED_CHANNEL = 'payments_settled'

/** Log lines for `fails` of `createSettledNotifier`. */
export const SETTLED_NOTIFY_FAILS = {
  message: 'APIs could not be notified of settled payments, requests that wait for them find them a second later',
  ended: 'APIs are notified of settled payments again',
}

// At 20 ms, 500 payments/s cost an API that only listens 2.8 % of a core. A lone payment is notified at once all the same.
const INTERVAL_MS = 50
/** A notification has less than 8,000 bytes, and an id with its comma has 37. */
const IDS_MAX = 200
/** Ids that may wait. Others are left out: APIs look once a second as well. */
const WAITING_MAX = 1_000

const NOTIFY = compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<{ payloads: readonly string[] }>) =>
  db
    // As `sql`: the builder has no functions that return rows.
    .selectFrom(sql<{ payload: string }>`unnest(${parameter('payloads')}::text[])`.as<'given'>(sql`given (payload)`))
    .select(({ fn, val, ref }) => fn('pg_notify', [val(SETTLED_CHANNEL), ref('payload')]).as('sent')),
)

/**
 * Notifies APIs of settled payments at once, then at most once in 50 ms. Call it after COMMIT, never
 * within the transaction: there, NOTIFY serialises the commits of the whole server.
 *
 * @param fails called when a notification fails, and when one succeeds
 */
export function createSettledNotifier(
  db: Kysely<Tables>,
  fails: { holds(fields: { error: unknown }): void; ended(): void },
) {
  const loops = new Loops()
  let waiting: string[] = []

  const wake = createThrottle(async () => {
    const payloads: string[] = []
    for (let from = 0; from < waiting.length; from += IDS_MAX) payloads.push(waiting.slice(from, from + IDS_MAX).join())
    waiting = []
    await loops.track('settled notifier', NOTIFY(db, { payloads })).then(
      () => fails.ended(),
      (error) => fails.holds({ error }),
    )
  }, INTERVAL_MS)

  return {
    /** For /livez: the notification that is being sent. */
    loops,
    /** A hint: it never fails, and a lost notification costs a second. */
    notify(paymentId: string): void {
      if (waiting.length >= WAITING_MAX) return
      waiting.push(paymentId)
      wake()
    },
  }
}

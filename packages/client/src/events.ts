import { type EventPage, type EventType, readEventPage } from './payment.ts'
import { queryOf } from './query.ts'
import { type CallOptions, pause, type Settings, send } from './send.ts'

/** Pause after the last event. */
const POLL_MS = 1_000

export interface EventsOptions extends CallOptions {
  type?: EventType | undefined
  /** The `next_cursor` of a page with the same `type`. Without it the first event comes first. */
  after?: string | undefined
  /** Events of a page, 1 to 100. Default: 20. */
  limit?: number | undefined
  /** Whether to wait for later events after the last one, and never to give up while errors are retryable. */
  follow?: boolean | undefined
}

/** The call about the events of all payments. */
export function createEvents(settings: Settings) {
  /**
   * Pages of events of all payments, in an order that skips none. Store the `next_cursor` of a page when its events are
   * handled, in the same transaction, and begin after it the next time. A page comes again if it was not stored, and an event
   * may come again after a failover or a restore, so handle each `id` once. A page may be empty, but never is without a new cursor.
   */
  return async function* events(options: EventsOptions = {}): AsyncGenerator<EventPage, void, undefined> {
    const { timeoutMs, signal, follow = false, type, limit } = options
    const callOptions = { timeoutMs: follow ? Number.POSITIVE_INFINITY : timeoutMs, signal }
    for (let after = options.after; ; ) {
      const path = `/events${queryOf({ type, limit, after })}`
      const { value: page } = await send(settings, { method: 'GET', path, read: readEventPage }, callOptions)
      if (page.data.length > 0 || page.next_cursor !== after) yield page
      after = page.next_cursor
      if (page.has_more) continue
      if (!follow) return
      await pause(POLL_MS, signal)
    }
  }
}

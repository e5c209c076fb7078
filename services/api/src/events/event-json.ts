import type { StoredEvent } from '@cashflow/db'
import { eventId, paymentAsOf } from '@cashflow/domain'
import type { Logger } from '@cashflow/runtime'

const ACTORS = ['api', 'worker']

/**
 * The events of one payment, for `JSON.stringify`. If this version cannot show the payment, such as one in a currency of a
 * newer version, they have no payment, and the log names them.
 */
export function paymentEventsJson(
  events: readonly StoredEvent[],
  { logger, requestId }: { logger: Logger; requestId: string },
) {
  try {
    return events.map(eventJson)
  } catch (error) {
    logger.error('payments cannot be shown, their events are shown without them', {
      event_ids: events.map(({ paymentId, sequence }) => eventId(paymentId, sequence)),
      error,
      request_id: requestId,
    })
    return events.map((event) => eventJson({ ...event, payment: null }))
  }
}

/**
 * An event as its merchant sees it, for `JSON.stringify`. Each member is listed here, so that what an operator
 * wrote as a reason stays private.
 */
export function eventJson(event: StoredEvent) {
  const { paymentId, sequence, type, data, actor } = event
  return {
    id: eventId(paymentId, sequence),
    type,
    sequence,
    previous_event_id: sequence > 1 ? eventId(paymentId, sequence - 1) : null,
    payment: paymentAsOf(event),
    failure_code: typeof data.failure_code === 'string' ? data.failure_code : null,
    // Operators also act through the migrator and by hand.
    actor: ACTORS.includes(actor) ? actor : 'operator',
    request_id: event.requestId,
    created_at: event.createdAt,
  }
}

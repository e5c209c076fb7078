import type { StoredEvent } from '@cashflow/db'
import { eventId, paymentAsOf } from '@cashflow/domain'

/** The version of what `data` contains. Members are only added. */
const API_VERSION = 'v1'

/**
 * The body of all requests about an event, as JSON: `{type, timestamp, data}` of Standard Webhooks 1.0.0. `data` is the payment
 * as the event left it, with its `id` first.
 *
 * @throws RangeError for a currency that this version does not know
 */
export function bodyOf(event: StoredEvent): string {
  const { paymentId, sequence, type, data, createdAt, requestId } = event
  return JSON.stringify({
    type,
    timestamp: createdAt,
    data: {
      id: paymentId,
      ...paymentAsOf(event),
      ...(typeof data.failure_code === 'string' && { failure_code: data.failure_code }),
      sequence,
      previous_event_id: sequence > 1 ? eventId(paymentId, sequence - 1) : null,
      request_id: requestId,
      api_version: API_VERSION,
    },
  })
}

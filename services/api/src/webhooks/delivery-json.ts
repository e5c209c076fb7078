import type { Delivery, DeliveryWithAttempts } from '@cashflow/db'
import { eventId } from '@cashflow/domain'

/** A delivery as its merchant sees it, for `JSON.stringify`. */
export function deliveryJson(delivery: Delivery) {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    event_id: eventId(delivery.paymentId, delivery.sequence),
    event_type: delivery.type,
    payment_id: delivery.paymentId,
    sequence: delivery.sequence,
    status: delivery.status,
    failed_attempts: delivery.attempts,
    replay: delivery.isReplay,
    next_attempt_at: delivery.nextAttemptAt,
    last_attempt_at: delivery.lastAttemptAt,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: delivery.createdAt,
    finished_at: delivery.finishedAt,
  }
}

export function deliveryWithAttemptsJson(delivery: DeliveryWithAttempts) {
  return {
    ...deliveryJson(delivery),
    attempts_made: delivery.attemptsMade.map(({ at, durationMs, status, error, answer }) => ({
      at,
      duration_ms: durationMs,
      status,
      error,
      answer,
    })),
  }
}

import type { Delivery, Tables } from '@cashflow/db'
import { type AttemptRates, readAttemptRates, type SeenEndpoint } from '@cashflow/db/operator'
import { eventId } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import type { DeliveryAnswer, EndpointAnswer } from '../answers.ts'
import { timeOf } from './request.ts'

/** Endpoints with the successes among their last attempts. */
export async function withRates(db: Kysely<Tables>, endpoints: readonly SeenEndpoint[]): Promise<EndpointAnswer[]> {
  const rates = await readAttemptRates(
    db,
    endpoints.map(({ id }) => id),
  )
  return endpoints.map((endpoint) => toEndpointAnswer(endpoint, rates.get(endpoint.id) ?? NONE))
}

const NONE: AttemptRates = { attempts: 0, succeeded: 0 }

function toEndpointAnswer(endpoint: SeenEndpoint, recent: AttemptRates): EndpointAnswer {
  const { replay } = endpoint
  return {
    id: endpoint.id,
    merchant_id: endpoint.merchantId,
    merchant: endpoint.merchant,
    url: endpoint.url,
    description: endpoint.description,
    types: endpoint.types,
    ordering: endpoint.ordering,
    state: stateOf(endpoint),
    disabled_reason: endpoint.disabledReason,
    disabled_at: timeOf(endpoint.disabledAt),
    missed_since: timeOf(endpoint.missedSince),
    failing_since: timeOf(endpoint.failingSince),
    failures: endpoint.failures,
    last_failure: endpoint.lastFailure,
    succeeded_at: timeOf(endpoint.succeededAt),
    held_until: timeOf(endpoint.heldUntil),
    pending: endpoint.pending,
    oldest_due_at: timeOf(endpoint.oldestDueAt),
    recent,
    replay: replay && { id: replay.id, replayed: replay.replayed, reached_at: timeOf(replay.reachedAt) },
    created_at: timeOf(endpoint.createdAt),
  }
}

function stateOf({ disabledAt, failingSince }: SeenEndpoint): EndpointAnswer['state'] {
  if (disabledAt !== null) return 'disabled'
  return failingSince === null ? 'enabled' : 'failing'
}

export function toDeliveryAnswer(delivery: Delivery): DeliveryAnswer {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    event_id: eventId(delivery.paymentId, delivery.sequence),
    event_type: delivery.type,
    payment_id: delivery.paymentId,
    status: delivery.status,
    attempts: delivery.attempts,
    replay: delivery.isReplay,
    next_attempt_at: timeOf(delivery.nextAttemptAt),
    last_attempt_at: timeOf(delivery.lastAttemptAt),
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: timeOf(delivery.createdAt),
    finished_at: timeOf(delivery.finishedAt),
  }
}

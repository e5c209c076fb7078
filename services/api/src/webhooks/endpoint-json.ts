import type { Endpoint } from '@cashflow/db'

/** An endpoint as its merchant sees it, for `JSON.stringify`. Its secrets are no part of it. */
export function endpointJson(endpoint: Endpoint) {
  return {
    id: endpoint.id,
    url: endpoint.url,
    description: endpoint.description,
    types: endpoint.types,
    ordering: endpoint.ordering,
    enabled: endpoint.disabledAt === null,
    disabled_reason: endpoint.disabledReason,
    disabled_at: endpoint.disabledAt,
    missed_since: endpoint.missedSince,
    failing_since: endpoint.failingSince,
    secret_rotates_until: endpoint.secretRotatesUntil,
    created_at: endpoint.createdAt,
  }
}

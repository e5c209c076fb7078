export const ENDPOINT_STATES = ['failing', 'disabled'] as const
export const DELIVERY_STATUSES = ['pending', 'waiting', 'succeeded', 'expired'] as const

export interface EndpointAnswer {
  readonly id: string
  readonly merchant_id: string
  readonly merchant: string | null
  readonly url: string
  readonly description: string | null
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly ordering: 'payment' | 'none'
  readonly state: 'enabled' | 'failing' | 'disabled'
  readonly disabled_reason: 'failing' | 'gone' | 'requested' | null
  readonly disabled_at: string | null
  readonly missed_since: string | null
  readonly failing_since: string | null
  /** Failed attempts since the last successful one. */
  readonly failures: number
  readonly last_failure: string | null
  readonly succeeded_at: string | null
  readonly held_until: string | null
  /** Deliveries that are neither succeeded nor expired. 10,001 means more than 10,000. */
  readonly pending: number
  /** When the first of them is due, or was. */
  readonly oldest_due_at: string | null
  /** The attempts of its last deliveries, at most 200. */
  readonly recent: { readonly attempts: number; readonly succeeded: number }
  /** A replay that is not finished. */
  readonly replay: { readonly id: string; readonly replayed: number; readonly reached_at: string } | null
  readonly created_at: string
}

/** `GET /api/webhooks/endpoints?merchant=&state=&after=`: 50 at most. `GET /api/webhooks/endpoints/:id` has one. */
export interface EndpointsAnswer {
  readonly endpoints: readonly EndpointAnswer[]
  readonly next: string | null
  readonly notes: readonly string[]
}

export interface DeliveryAnswer {
  readonly id: string
  readonly endpoint_id: string
  readonly event_id: string
  readonly event_type: string
  readonly payment_id: string
  readonly status: (typeof DELIVERY_STATUSES)[number]
  /** Failed attempts of the present schedule. */
  readonly attempts: number
  readonly replay: boolean
  readonly next_attempt_at: string | null
  readonly last_attempt_at: string | null
  readonly last_status: number | null
  readonly last_error: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

/** `GET /api/webhooks/deliveries?endpoint=&status=&payment=&after=`: the newest first, 50 at most. */
export interface DeliveriesAnswer {
  readonly deliveries: readonly DeliveryAnswer[]
  readonly next: string | null
  readonly notes: readonly string[]
}

/** `GET /api/webhooks/endpoints/:id/deliveries/:delivery/attempts`: the oldest first, the last 100. */
export interface AttemptsAnswer {
  readonly attempts: readonly {
    readonly at: string
    readonly duration_ms: number
    readonly status: number | null
    readonly error: string | null
    /** The first kilobyte of the answer. */
    readonly answer: string | null
  }[]
}

/** The body of `POST /api/webhooks/endpoints/:id/enable` and `/disable`. */
export interface SwitchBody {
  readonly reason: string
}

/** The body of `POST /api/webhooks/endpoints/:id/replay`. Without `after` it begins at the first event that was missed. */
export interface ReplayBody {
  /** The id of an event, or a time. */
  readonly after?: string
  readonly reason: string
}

/** The body of `POST /api/webhooks/redeliver`. Without `endpoint_id` the event goes to all its endpoints. */
export interface RedeliverBody {
  readonly event_id: string
  readonly endpoint_id?: string
  readonly reason: string
}

/**
 * The body of `POST /api/webhooks/endpoints/:id/check`. Answers `CheckAnswer`, as does
 * `GET /api/webhooks/endpoints/:id/checks/:check`.
 */
export interface CheckBody {
  readonly kind: 'check' | 'ping'
  readonly reason: string
}

export interface CheckAnswer {
  readonly id: string
  readonly kind: 'check' | 'ping'
  readonly created_at: string
  readonly finished_at: string | null
  /** As the API documents it. Null until the check has finished. */
  readonly report: unknown
}

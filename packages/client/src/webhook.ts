import type { EventType } from './payment.ts'

export type WebhookOrdering = 'payment' | 'none'
export type DeliveryStatus = 'pending' | 'waiting' | 'succeeded' | 'expired'

/** A URL of yours that events are sent to. Times are of RFC 3339. */
export interface WebhookEndpoint {
  readonly id: string
  readonly url: string
  readonly description: string | null
  /** Null for all types. */
  readonly types: readonly EventType[] | null
  /** `payment`: deliveries of one payment wait for each other. */
  readonly ordering: WebhookOrdering
  readonly enabled: boolean
  readonly disabled_reason: 'failing' | 'gone' | 'requested' | null
  readonly disabled_at: string | null
  /** Time of the last event before those that it missed. A replay without `after` delivers them. */
  readonly missed_since: string | null
  readonly failing_since: string | null
  /** Until when the former secret signs as well. */
  readonly secret_rotates_until: string | null
  readonly created_at: string
}

export interface WebhookEndpointWithSecret extends WebhookEndpoint {
  /** Verifies signatures. No other answer shows it. */
  readonly secret: string
}

export interface NewWebhookEndpoint {
  readonly url: string
  readonly description?: string | null
  /** Default: null, for all types. */
  readonly types?: readonly EventType[] | null
  /** Default: `payment`. */
  readonly ordering?: WebhookOrdering
}

/** Members that are left out stay as they are. */
export interface WebhookEndpointChange extends Partial<NewWebhookEndpoint> {
  readonly enabled?: boolean
}

export interface NewWebhookReplay {
  /** The id of an event, or a time of RFC 3339. Default: the first event that the endpoint missed. */
  readonly after?: string
  /** Default: the types of the endpoint. */
  readonly types?: readonly EventType[]
}

export interface WebhookReplay {
  readonly id: string
  readonly endpoint_id: string
  readonly types: readonly EventType[] | null
  readonly created_at: string
}

/** An event on its way to an endpoint. */
export interface WebhookDelivery {
  readonly id: string
  readonly endpoint_id: string
  readonly event_id: string
  readonly event_type: EventType
  readonly payment_id: string
  readonly sequence: number
  readonly status: DeliveryStatus
  /** Failed attempts since it was created or asked for again. */
  readonly failed_attempts: number
  /** True if it was asked for again. */
  readonly replay: boolean
  readonly next_attempt_at: string | null
  readonly last_attempt_at: string | null
  /** Null if there was no answer. */
  readonly last_status: number | null
  readonly last_error: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

export interface WebhookAttempt {
  readonly at: string
  readonly duration_ms: number
  /** Null if there was no answer. */
  readonly status: number | null
  readonly error: string | null
  /** The first kilobyte of the answer. */
  readonly answer: string | null
}

export interface WebhookDeliveryWithAttempts extends WebhookDelivery {
  /** The last 50, in their order. */
  readonly attempts_made: readonly WebhookAttempt[]
}

/** A check of the receiver behind an endpoint. */
export interface WebhookCheck {
  readonly id: string
  readonly endpoint_id: string
  /** `ping`: one valid event only. */
  readonly kind: 'check' | 'ping'
  readonly status: 'pending' | 'finished'
  readonly report_url: string
  readonly created_at: string
  readonly finished_at: string | null
  /** Null until it is finished. */
  readonly report: WebhookCheckReport | null
}

/** What a receiver wrongly took or refused, and how long it took. */
export interface WebhookCheckReport {
  /** `incomplete`: nothing failed, and not all was tried. */
  readonly result: 'passed' | 'failed' | 'incomplete'
  readonly slowest_ms: number | null
  readonly cases: readonly WebhookCheckCase[]
}

/** What a check sends. `answer_time` is about the answers to all of it. */
export type WebhookCheckName =
  | 'valid'
  | 'two_signatures'
  | 'raw_bytes'
  | 'large_body'
  | 'unknown_type'
  | 'duplicate'
  | 'simultaneous_duplicates'
  | 'in_order'
  | 'out_of_order'
  | 'forged_signature'
  | 'empty_secret'
  | 'missing_signature'
  | 'empty_signature'
  | 'unknown_version'
  | 'changed_body'
  | 'changed_id'
  | 'changed_timestamp'
  | 'stale_timestamp'
  | 'future_timestamp'
  | 'valid_again'
  | 'answer_time'

export interface WebhookCheckCase {
  readonly name: WebhookCheckName
  readonly expected: 'accepted' | 'refused'
  readonly result: 'passed' | 'failed' | 'not_shown' | 'not_tried'
  /** What is wrong, and what to do. */
  readonly detail: string | null
  readonly requests: readonly WebhookCheckRequest[]
}

export interface WebhookCheckRequest {
  /** Null if there was no answer. */
  readonly status: number | null
  readonly error: string | null
  /** The header `Webhook-Outcome` of the answer. */
  readonly outcome: string | null
  /** The first kilobyte of the answer. */
  readonly answer: string | null
  readonly duration_ms: number
}

export interface WebhookPage<Item> {
  readonly data: readonly Item[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

// Readers of answers. Each throws for another JSON object, such as one of a proxy.

export function readNamed<Value extends { readonly id: string }>(body: object): Value {
  if (!('id' in body) || typeof body.id !== 'string') throw new TypeError('It has no id.')
  return body as Value
}

export function readWebhookPage<Item>(body: object): WebhookPage<Item> {
  const page = body as WebhookPage<Item>
  if (!Array.isArray(page.data) || typeof page.has_more !== 'boolean') throw new TypeError('It is no page.')
  return page
}

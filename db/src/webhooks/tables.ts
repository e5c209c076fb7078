import type { ColumnType, Generated } from 'kysely'

/** Deliveries of one payment wait for each other, or no delivery waits for another. */
export type Ordering = 'payment' | 'none'
/** It failed for too long, it answered 410, or its merchant or an operator has asked for it. */
export type DisabledReason = 'failing' | 'gone' | 'requested'
export type DeliveryStatus = 'pending' | 'waiting' | 'succeeded' | 'expired'

/** What `metadata.simulate` asks for. 0024_webhook_faults.sql says what each does. */
export type DeliveryFault = 'duplicate' | 'late' | 'held' | 'unordered'

export interface WebhookEndpointsTable {
  id: string
  merchant_id: string
  url: string
  description: string | null
  /** Null for all types. */
  types: string[] | null
  ordering: Ordering
  /** Sealed under the key that the id names. */
  secret: Buffer
  secret_key_id: string
  /** The secret before the last rotation. It signs as well until `former_secret_until`. */
  former_secret: Buffer | null
  former_secret_key_id: string | null
  former_secret_until: Date | null
  created_at: Generated<Date>
  /** An xid8, as text. Events below it are older than the endpoint. Null after a restore: then `created_at` counts. */
  start_xid: string | null
  /** Every event of its types that is younger has a delivery, or will have one. */
  whole_since: Generated<Date>
  disabled_at: Date | null
  disabled_reason: DisabledReason | null
  /** The place in the feed after which events were not delivered, because the endpoint was disabled. */
  missed_epoch: string | null
  missed_xid: string | null
  missed_id: string | null
  missed_at: Date | null
  deleted_at: Date | null
}

/** How far the events of a merchant are fanned out. */
export interface WebhookCursorsTable {
  merchant_id: string
  epoch: string
  xid: string
  /** A bigint, as text. */
  id: string
  reached_at: Date
}

/** One row for each endpoint: when one of its deliveries is due, and how it answers. */
export interface WebhookQueuesTable {
  endpoint_id: string
  merchant_id: string
  is_enabled: Generated<boolean>
  /** When to look for due deliveries next. 'infinity' if there are none, which pg reads as a number. */
  due_at: ColumnType<Date | number, Date | 'infinity' | undefined, Date | 'infinity'>
  /** The last claim has left deliveries that are due, because as many are under way as may be. */
  is_full: Generated<boolean>
  /** Its last attempt took long. */
  is_slow: Generated<boolean>
  /** One attempt at a time: it has never answered with success, or not for its last attempts. */
  is_failing: Generated<boolean>
  failing_since: Date | null
  failures: Generated<number>
  held_until: Date | null
  recovering_since: Date | null
  recovered: Generated<number>
  is_ramped: Generated<boolean>
  succeeded_at: Date | null
}

export interface WebhookDeliveriesTable {
  endpoint_id: string
  /** A bigint, as text. */
  id: ColumnType<string, never, never>
  merchant_id: string
  payment_id: string
  sequence: number
  type: string
  event_at: Date
  status: Generated<DeliveryStatus>
  attempts: Generated<number>
  is_replay: Generated<boolean>
  due_at: Generated<Date>
  /** The next attempt by the schedule, after a failed one. */
  retry_at: Date | null
  /** The number of failed attempts after which it was last tried before `retry_at`. */
  early_after: number | null
  claim_token: string | null
  /** Null except for some deliveries of a sandbox. */
  fault: Generated<DeliveryFault | null>
  created_at: Generated<Date>
  finished_at: Date | null
  last_attempt_at: Date | null
  last_status: number | null
  last_error: string | null
}

export interface WebhookAttemptsTable {
  endpoint_id: string
  delivery_id: string
  id: ColumnType<string, never, never>
  at: Date
  duration_ms: number
  /** Null if there was no answer. */
  status: number | null
  error: string | null
  /** The first kilobyte of the answer. */
  answer: string | null
}

/** The bytes that are signed, once for each event. */
export interface WebhookPayloadsTable {
  payment_id: string
  sequence: number
  body: string
  /** The place of the payment's request in its trace. */
  traceparent: string | null
}

/** What a merchant has asked for again. */
export interface WebhookReplaysTable {
  id: string
  endpoint_id: string
  merchant_id: string
  types: string[] | null
  epoch: string
  xid: string
  /** A bigint, as text. */
  place_id: string
  reached_at: Date
  end_xid: string | null
  replayed: Generated<number>
  created_at: Generated<Date>
  finished_at: Date | null
}

/** `ping` sends one valid event only. */
export type CheckKind = 'check' | 'ping'

/** Checks of receivers, which merchants ask for. */
export interface WebhookChecksTable {
  id: string
  endpoint_id: string
  merchant_id: string
  kind: CheckKind
  created_at: Generated<Date>
  claim_token: string | null
  /** Until then another process leaves it alone. */
  lease_until: Date | null
  /** How often it was begun. */
  starts: Generated<number>
  finished_at: Date | null
  /** JSON, which is written as text. */
  report: ColumnType<unknown, never, string>
}

export interface WebhookTables {
  webhook_endpoints: WebhookEndpointsTable
  webhook_cursors: WebhookCursorsTable
  webhook_queues: WebhookQueuesTable
  webhook_deliveries: WebhookDeliveriesTable
  webhook_attempts: WebhookAttemptsTable
  webhook_payloads: WebhookPayloadsTable
  webhook_replays: WebhookReplaysTable
  webhook_checks: WebhookChecksTable
}

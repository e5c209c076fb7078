/**
 * Metrics that rules and dashboard read, by the words used there. A histogram is named without `_bucket`, `_sum`, `_count`.
 *
 * Those of `cashflow_db_` are facts of the database, and every api and relay exports the same ones: take their `max`,
 * never their `sum`.
 */
export const METRICS = {
  // Facts of the database
  /** Payments, counted 70 seconds after their creation. */
  created: 'cashflow_db_payments_created_total',
  /** Label `within_seconds`: those of `created` that were settled within as many seconds of their creation. */
  settled: 'cashflow_db_payments_settled_total',
  /** Label `topic`. */
  backlog: 'cashflow_db_outbox_messages',
  /** Label `topic`. */
  backlogCapped: 'cashflow_db_outbox_messages_capped',
  /** Label `topic`. */
  lag: 'cashflow_db_outbox_lag_seconds',
  pending: 'cashflow_db_payments_pending',
  pendingOldest: 'cashflow_db_payments_pending_oldest_seconds',
  overdue: 'cashflow_db_payments_overdue_seconds',
  /** Label `waiting_for`; of the 1,000 PENDING payments that are due for a redrive first. */
  waitingFor: 'cashflow_db_payments_pending_by_waiting_for',
  parked: 'cashflow_db_payments_parked',
  /** Label `source`. */
  deadLetters: 'cashflow_db_dead_letters',
  oldestXmin: 'cashflow_db_oldest_xmin_seconds',
  oldestXminTransactions: 'cashflow_db_oldest_xmin_transactions',
  /** Left out if the role of the services may not see standbys. */
  standbys: 'cashflow_db_synchronous_standbys',
  standbyRequired: 'cashflow_db_standby_required',
  /** Label `role`. */
  instances: 'cashflow_db_instances',
  /** Label `role`: processes whose heartbeats ended without a clean stop. */
  instancesLost: 'cashflow_db_instances_lost',
  /** Label `state`: `healthy`, `new`, `failing` or `disabled`. */
  webhookEndpoints: 'cashflow_db_webhook_endpoints',
  /** Label `reason`: `failing`, `gone` or `requested`; of 24 hours. */
  webhookEndpointsDisabled: 'cashflow_db_webhook_endpoints_disabled_lately',
  /** Of endpoints that answer. */
  webhookOverdue: 'cashflow_db_webhook_overdue_seconds',
  fanOutLag: 'cashflow_db_webhook_fan_out_lag_seconds',
  factsAge: 'cashflow_db_facts_age_seconds',

  // Of a process
  /** Label `role`. */
  buildInfo: 'cashflow_build_info',
  /** Label `quantile`. */
  eventLoopDelay: 'cashflow_event_loop_delay_seconds',
  poolWaiting: 'cashflow_pool_waiting',
  /** Label `component`, `relay` or `worker`: 1 while an operator's pause of it is in force. */
  paused: 'cashflow_paused',
  /** Label `connection`, as the next two. */
  amqpConnected: 'cashflow_amqp_connected',
  blockedSeconds: 'cashflow_amqp_blocked_seconds_total',
  reconnects: 'cashflow_amqp_reconnects_total',
  /** Labels `route`, `status`; a histogram. */
  requests: 'cashflow_http_request_duration_seconds',
  /** Label `outcome`, such as `confirmed` or `returned`. */
  messages: 'cashflow_relay_messages_total',
  inFlight: 'cashflow_relay_messages_in_flight',
  /** A histogram. */
  createdToConfirmed: 'cashflow_relay_created_to_confirmed_seconds',
  /** Consumers of the queue that a relay publishes to, as the relay sees them. */
  consumers: 'cashflow_relay_queue_consumers',
  /** Ready messages of that queue. */
  queueMessages: 'cashflow_relay_queue_messages',
  /** Label `redelivered`. */
  deliveries: 'cashflow_worker_deliveries_total',
  /** Label `status`. */
  settlements: 'cashflow_worker_settlements_total',
  slotsInUse: 'cashflow_worker_slots_in_use',
  redrives: 'cashflow_worker_redriven_total',
  /** Label `state`: 1 for the present one of `closed`, `open` and `half_open`. */
  breaker: 'cashflow_worker_breaker_state',
  /** Label `outcome`; a histogram. */
  providerCalls: 'cashflow_provider_call_duration_seconds',
  /** Label `outcome`: `succeeded`, `failed` or `expired`. */
  webhookAttempts: 'cashflow_webhooks_attempts_total',
  /** Label `outcome`; a histogram. */
  webhookDurations: 'cashflow_webhooks_attempt_duration_seconds',
  /** A histogram. */
  createdToDelivered: 'cashflow_webhooks_created_to_delivered_seconds',
  webhooksInFlight: 'cashflow_webhooks_attempts_in_flight',
  fannedOut: 'cashflow_webhooks_fanned_out_total',
} as const satisfies Readonly<Record<string, `cashflow_${string}`>>

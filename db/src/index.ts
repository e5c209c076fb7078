export { readCursorSecret } from './cursor-secret.ts'
export { type FeedCursor, type FeedPage, type FeedRequest, readFeed } from './events/feed.ts'
export { type FeedHolder, findFeedHolder } from './events/feed-holder.ts'
export { findEvents } from './events/of-payment.ts'
export type { StoredEvent } from './events/stored-event.ts'
export { createFacts, type Facts, type FactsOptions } from './facts/facts.ts'
export { registerFacts } from './facts/register-facts.ts'
export { createHeartbeat, type HeartbeatOptions } from './instances/heartbeat.ts'
export { hashKey, KEY_ID, KEY_SCOPES, type KeyScope, type NewKey, newKey, readKey } from './merchants/api-key.ts'
export { findKeys, type StoredKey } from './merchants/find-keys.ts'
export { type Pepper, parsePeppers, pepperEnv } from './merchants/pepper.ts'
export { touchKeys } from './merchants/touch-keys.ts'
export { ensureSchema, serviceSession } from './migrate/schema.ts'
export { type Done, refusedByLock } from './operator/done.ts'
export { registerPauses } from './pauses/pause-metrics.ts'
export { createPauseWatch, type PauseWatch } from './pauses/pause-watch.ts'
export type { Pause } from './pauses/pauses.ts'
export { type Advanced, advancePayment } from './payments/advance.ts'
export { type Canceled, cancelPayment } from './payments/cancel.ts'
export { findHolders, type Holder } from './payments/holder.ts'
export { insertPayments, type PaymentInsert } from './payments/insert.ts'
export { type ListedPayment, listPayments, type PaymentListOptions, type PaymentPlace } from './payments/list.ts'
export { listPaymentsPastDamage, type UnreadablePayment } from './payments/list-past-damage.ts'
export {
  createSettledNotifier,
  SETTLED_CHANNEL,
  SETTLED_NOTIFY_FAILS,
} from './payments/settled-notifier.ts'
export {
  findPayment,
  findPayments,
  findSettled,
  type PaymentName,
  type PaymentView,
  type Waiting,
} from './payments/view.ts'
export { createDatabase, type Database } from './postgres/database.ts'
export { databaseComponent } from './postgres/database-component.ts'
export {
  CommitInDoubtError,
  DatabaseSettingError,
  isAway,
  isDamage,
  isPermanent,
  isTransient,
  mayBeItemsOwn,
  refusedSettings,
} from './postgres/errors.ts'
export { ALONE, createGroupCommit, type GroupCommitOptions } from './postgres/group-commit.ts'
export { createListener, type Listener, type ListenerOptions } from './postgres/listener.ts'
export { registerListener } from './postgres/listener-metric.ts'
export { onlyStatement } from './postgres/one-trip-driver.ts'
export { registerPool } from './postgres/pool-metrics.ts'
export { waitForStandby } from './postgres/standby.ts'
export { DatabaseTlsError } from './postgres/tls-errors.ts'
export { withBeats } from './postgres/with-beats.ts'
export { deleteIdleRateLimits } from './rate-limits/delete-idle.ts'
export {
  type RateLimitBucket,
  type RateLimitLevel,
  type RateLimitUse,
  reportUse,
} from './rate-limits/report-use.ts'
export type { Tables } from './tables.ts'
export { type CreatedEndpoint, createEndpoint, ENDPOINTS_MAX } from './webhooks/create-endpoint.ts'
export { deleteEndpoint } from './webhooks/delete-endpoint.ts'
export type { Delivery } from './webhooks/delivery.ts'
export { type Endpoint, findEndpoint, listEndpoints } from './webhooks/endpoint.ts'
export { type DeliveryWithAttempts, findEventDeliveries, listDeliveries } from './webhooks/list-deliveries.ts'
export { redeliver } from './webhooks/redeliver.ts'
export { rotateSecret } from './webhooks/rotate-secret.ts'
export { type EndpointCheck, findCheck, type StartedCheck, startCheck } from './webhooks/start-check.ts'
export { type Replay, type ReplayStart, type StartedReplay, startReplay } from './webhooks/start-replay.ts'
export type { CheckKind, DeliveryStatus, Ordering } from './webhooks/tables.ts'
export { type EndpointChange, updateEndpoint } from './webhooks/update-endpoint.ts'

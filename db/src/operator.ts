/** Functions for the operator's commands. They find a payment and a key by its id alone, of any merchant. */

export { type ChartRange, type Charts, readCharts } from './charts/read-charts.ts'
export { createSampler } from './charts/sampler.ts'
export { hasEnabledEndpoint, readWebhooks, type WebhookFacts } from './facts/webhooks.ts'
export { listInstances, type SeenInstance } from './instances/instances.ts'
export { createKey } from './merchants/create-key.ts'
export { type KeyFacts, listKeys } from './merchants/list-keys.ts'
export {
  createMerchant,
  findMerchant,
  listMerchants,
  type Merchant,
  merchantNames,
  searchMerchants,
} from './merchants/merchants.ts'
export { revokeKey } from './merchants/revoke-key.ts'
export { rotateKey } from './merchants/rotate-key.ts'
export {
  ACTION_NAMES,
  type Action,
  type ActionFilter,
  type ActionName,
  listActions,
  type Operator,
  recordAction,
  searchActions,
} from './operator/actions.ts'
export { type CreatedLoginToken, recordLoginToken, useLoginToken } from './operator/console-logins.ts'
export { discard, requeue, type Selection, searchDeadLetters, selectDeadLetters } from './operator/dead-letters.ts'
export {
  type FoundByName,
  findById,
  findByIdempotencyKey,
  findByReference,
  type NamedPayment,
} from './operator/find-payments.ts'
export {
  FINDING_PARTS,
  FINDINGS_QUERY,
  type Finding as DownFinding,
  type FindingPart,
  readFindings,
  seesAllSessions,
} from './operator/findings.ts'
export { endText, isGone, replacedOf, replacedText } from './operator/gone.ts'
export { operatorName } from './operator/operator-name.ts'
export type { PaymentSearch } from './operator/read-rows.ts'
export { countDue, type RedriveBatch, type RedrivePlace, redriveBatch } from './operator/redrive-batch.ts'
export { redrivePayment } from './operator/redrive-by-hand.ts'
export { type RekeyCounts, type Rekeying, rekeySecrets } from './operator/rekey-secrets.ts'
export { type EventName, type EventSearch, type SeenEvent, searchEvents } from './operator/search-events.ts'
export { type PaymentPage, searchPayments } from './operator/search-payments.ts'
export { type ClockOffset, readClock, readServer, type ServerFacts } from './operator/server.ts'
export { settleByHand } from './operator/settle-by-hand.ts'
export { readStatus, SETTLED_SPAN_MS, type SystemStatus } from './operator/status.ts'
export { type Rates, ratesBetween } from './operator/status-rates.ts'
export { type Look, queueDepths, type Row, rowsOf } from './operator/status-rows.ts'
export { readTimeline, type Timeline, type TimelineEntry, WAITS_FOR } from './operator/timeline.ts'
export { type HostTls, isLocal, readSessionTls, tlsLooks, tlsOf } from './operator/tls.ts'
export { checkByHand, redeliverByHand, replayByHand, switchEndpoint } from './operator/webhook-acts.ts'
export { type AttemptRates, readAttemptRates, readAttempts } from './operator/webhook-attempts.ts'
export { type DeliverySearch, searchDeliveries } from './operator/webhook-deliveries.ts'
export {
  DELIVERIES_COUNTED_MAX,
  type EndpointSearch,
  findSeenEndpoint,
  type SeenEndpoint,
  searchEndpoints,
} from './operator/webhook-endpoints.ts'
export {
  type AsleepEndpoint,
  countSecretsByKey,
  countTroubled,
  type FanOutLag,
  findAsleep,
  hasEndpoints,
  readFanOutLag,
  readSecrets,
} from './operator/webhook-health.ts'
export type { TimelineDelivery } from './operator/webhook-timeline.ts'
export { PAUSABLE, type Pausable } from './pauses/pausable.ts'
export { ignoringPauses, type Pause, pause, resume } from './pauses/pauses.ts'
export type { LeftOut } from './postgres/past-damage.ts'
export type { Head } from './verify/check-history.ts'
export type { Finding } from './verify/finding.ts'
export { type VerifiedCounts, type VerifyOptions, verify } from './verify/verify.ts'

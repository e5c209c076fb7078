/** Functions for services/webhooks. They work on endpoints of any merchant, so the api must not import them. */

export { SLOW_MS } from './webhooks/allowance.ts'
export { type Claim, type ClaimedDelivery, type ClaimOptions, claimDeliveries } from './webhooks/claim.ts'
export { type ClaimedCheck, claimCheck, finishCheck, pruneChecks, releaseCheck } from './webhooks/claim-check.ts'
export { type Disabling, disableFailing } from './webhooks/disable.ts'
export { type FannedOut, type FanOutOptions, fanOut } from './webhooks/fan-out.ts'
export { ItemsError } from './webhooks/items-error.ts'
export { listWebhookMerchants, lookForWebhooks, type WebhookLook } from './webhooks/look.ts'
export { type PruneOptions, pruneDeliveries } from './webhooks/prune.ts'
export { readEvent } from './webhooks/read-event.ts'
export { type ReplayedPage, type ReplayOptions, replayPage } from './webhooks/replay-pages.ts'
export { type EndedAttempt, LOCKED, type SettledAttempt, settleDeliveries, type Verdict } from './webhooks/settle.ts'
export type { DisabledReason, Ordering } from './webhooks/tables.ts'

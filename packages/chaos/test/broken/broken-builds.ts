import type { ServiceRole } from '../../src/service.ts'

/**
 * A service with one typical mistake, which harms nothing as long as nothing fails. The harness must notice each of them.
 * One export of one module of the product is replaced, in memory only.
 */
export interface BrokenBuild {
  readonly name: string
  readonly service: ServiceRole
  /** The module of the product, from the repository's root. */
  readonly file: string
  /** The export of the module that is replaced. */
  readonly exported: string
  /** The function that receives the original export and returns its replacement. It is an export of `module`. */
  readonly replacement: string
  /** Default: `replacements.ts`. */
  readonly module?: string
}

/** An `await` is missing: the delivery is acknowledged while its payment is still being processed. */
export const ACK_BEFORE_COMMIT: BrokenBuild = {
  name: 'ack before commit',
  service: 'worker',
  file: 'services/worker/src/process-payment.ts',
  exported: 'processPayment',
  replacement: 'withoutAwait',
}

/** A message leaves the outbox when it was published, not when it was confirmed. */
export const DELETE_BEFORE_CONFIRM: BrokenBuild = {
  name: 'delete before confirm',
  service: 'relay',
  file: 'packages/messaging/src/publisher.ts',
  exported: 'createPublisher',
  replacement: 'confirmingAtOnce',
}

/** RabbitMQ confirms a message that it could not route, and the relay does not learn of it. */
export const PUBLISH_WITHOUT_MANDATORY: BrokenBuild = {
  name: 'publish without mandatory',
  service: 'relay',
  file: 'packages/messaging/src/publisher.ts',
  exported: 'createPublisher',
  replacement: 'withoutMandatory',
}

/** A worker stores the outcome of a payment that another worker has claimed since. */
export const SETTLE_WITHOUT_FENCE: BrokenBuild = {
  name: 'settle without the fence',
  service: 'worker',
  file: 'services/worker/src/batches.ts',
  exported: 'createBatches',
  replacement: 'withoutFence',
}

/** A payment whose message RabbitMQ has confirmed and lost is never redriven. */
export const NO_RECONCILER: BrokenBuild = {
  name: 'no reconciler',
  service: 'worker',
  file: 'services/worker/src/reconcile.ts',
  exported: 'createReconciler',
  replacement: 'neverStarted',
}

/** A consumer that RabbitMQ has forgotten waits for deliveries forever. */
export const NO_CONSUMER_WATCH: BrokenBuild = {
  name: 'no consumer watch',
  service: 'worker',
  file: 'packages/messaging/src/consumer-watch.ts',
  exported: 'createConsumerWatch',
  replacement: 'neverForgotten',
}

/** A GET finds a payment by its id alone. */
export const NO_MERCHANT: BrokenBuild = {
  name: 'no merchant',
  service: 'api',
  file: 'db/src/payments/view.ts',
  exported: 'findPayment',
  replacement: 'ofAnyMerchant',
}

/** An idempotency key is read, and not stored. */
export const KEY_NOT_STORED: BrokenBuild = {
  name: 'idempotency key not stored',
  service: 'api',
  file: 'db/src/payments/insert.ts',
  exported: 'insertPayments',
  replacement: 'withoutKeys',
}

/** A repeated request is answered with the payment as it is now. */
export const REPLAY_OF_THE_PRESENT: BrokenBuild = {
  name: 'replay of the present state',
  service: 'api',
  file: 'db/src/payments/holder.ts',
  exported: 'findHolders',
  replacement: 'createdNow',
}

/** A key is judged by its expiry only. */
export const NO_REVOCATION: BrokenBuild = {
  name: 'no revocation',
  service: 'api',
  file: 'services/api/src/auth/key-cache.ts',
  exported: 'isInForce',
  replacement: 'always',
}

/** A list is read where the payments of the last two seconds are not stored yet, such as on a standby. */
export const LIST_BEHIND: BrokenBuild = {
  name: 'list without the newest payments',
  service: 'api',
  file: 'db/src/payments/list.ts',
  exported: 'listPayments',
  replacement: 'withoutNewest',
}

/** The event feed shows what is committed, and does not wait for transactions that are older. */
export const FEED_WITHOUT_WAIT: BrokenBuild = {
  name: 'feed without a wait for older transactions',
  service: 'api',
  file: 'db/src/events/feed.ts',
  exported: 'readFeed',
  replacement: 'ofAllCommitted',
}

/** A payment is canceled while a worker has it, in a transaction that is open for a second. */
export const CANCEL_OF_CLAIMED: BrokenBuild = {
  name: 'cancel of a claimed payment',
  service: 'api',
  file: 'db/src/payments/cancel.ts',
  exported: 'cancelPayment',
  replacement: 'withoutClaim',
}

/**
 * Returns the arguments of Node that turn a service into its broken build. The service ends with an error before its
 * `main.ts` begins if it does not load the module, or if the module has no such export.
 */
export function nodeArgumentsOf(build: BrokenBuild): string[] {
  const loader = new URL('loader.ts', import.meta.url)
  // In the loader's URL and not in the environment, because the environment of a service holds its settings only.
  loader.searchParams.set('build', JSON.stringify(build))
  return ['--import', loader.href]
}

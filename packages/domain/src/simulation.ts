/**
 * Values of `metadata.simulate` that disturb the messages or the webhooks of a payment. Its provider is asked as usual, so
 * every provider of a sandbox allows them.
 */
export const DELIVERY_SIMULATIONS = [
  'duplicate_delivery',
  'webhook_duplicate',
  'webhook_late',
  'webhook_reorder',
] as const

/** What becomes of a payment in a sandbox, as its `metadata.simulate` asks. */
export const SIMULATIONS = [
  'success',
  'decline',
  'timeout_then_success',
  'timeout',
  'worker_crash',
  ...DELIVERY_SIMULATIONS,
] as const

export type Simulation = (typeof SIMULATIONS)[number]

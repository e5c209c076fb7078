/** What becomes of a payment in a sandbox, as its `metadata.simulate` asks. */
export const SIMULATIONS = [
  'success',
  'decline',
  'timeout_then_success',
  'timeout',
  'duplicate_delivery',
  'worker_crash',
] as const

export type Simulation = (typeof SIMULATIONS)[number]

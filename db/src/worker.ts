/** Functions for the worker. They find a payment by its id alone, of any merchant, so the api must not import them. */

export { createSettledAfter } from './charts/settled-after.ts'
export type { AttemptData } from './payments/attempts.ts'
export { type Claim, type ClaimOptions, claimNothing, claimPayments, type NewClaim } from './payments/claim.ts'
export { isParked } from './payments/parked.ts'
export { claimOverdue, hasOverdue, type Overdue, redriveNow } from './payments/redrive.ts'
export {
  attemptsAfter,
  type Cause,
  type Counts,
  findReleased,
  lockClaimed,
  parkPayment,
  saveRetry,
} from './payments/release.ts'
export { type SettlementWrite, settlePayments } from './payments/settle.ts'
export { mayCrash } from './sandbox/simulated-crash.ts'

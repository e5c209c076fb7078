export { serviceSession } from './migrate/schema.ts'
export { discard, requeue } from './operator/dead-letters.ts'
export { isParked } from './operator/parked-payments.ts'
export { settleByHand } from './operator/settle-by-hand.ts'
export type { Claim } from './payments/claim.ts'
export {
  type ClaimOptions,
  claimPayments,
  insertPayments,
  type NewClaim,
  type PaymentInsert,
  type SettlementWrite,
  settlePayments,
} from './payments/payment-store.ts'
export { claimOverdue, hasOverdue, type Overdue, redriveNow } from './payments/redrive.ts'
export type { ReferenceHolder } from './payments/reference-holder.ts'
export {
  attemptsAfter,
  type Cause,
  type Counts,
  findReleased,
  lockClaimed,
  parkPayment,
  saveRetry,
} from './payments/release.ts'
export { findPayment } from './payments/row.ts'
export { createDatabase, type Database } from './postgres/database.ts'
export { databaseComponent } from './postgres/database-component.ts'
export { isAway, isPermanent, isTransient, mayBeItemsOwn } from './postgres/errors.ts'
export { ALONE, createGroupCommit, type GroupCommit, type GroupCommitOptions } from './postgres/group-commit.ts'
export { lastStatement } from './postgres/one-trip-driver.ts'
export { waitForStandby } from './postgres/standby.ts'
export type { Tables } from './tables.ts'

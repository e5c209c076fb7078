export { ensureSchema, serviceSession } from './migrate/schema.ts'
export { type Done, discard, requeue } from './operator/dead-letters.ts'
export { settleByHand } from './operator/settle-by-hand.ts'
export { type Claim, type ClaimOptions, claimPayments, type NewClaim } from './payments/claim.ts'
export { insertPayments, type PaymentInsert } from './payments/insert.ts'
export { isParked } from './payments/parked.ts'
export { claimOverdue, hasOverdue, type Overdue, redriveNow } from './payments/redrive.ts'
export { findHolders, type ReferenceHolder } from './payments/reference-holder.ts'
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
export { type SettlementWrite, settlePayments } from './payments/settle.ts'
export { createDatabase, type Database } from './postgres/database.ts'
export { databaseComponent } from './postgres/database-component.ts'
export {
  DatabaseSettingError,
  isAway,
  isPermanent,
  isTransient,
  mayBeItemsOwn,
  refusedSettings,
} from './postgres/errors.ts'
export { ALONE, createGroupCommit, type GroupCommitOptions } from './postgres/group-commit.ts'
export { onlyStatement } from './postgres/one-trip-driver.ts'
export { waitForStandby } from './postgres/standby.ts'
export type { Tables } from './tables.ts'

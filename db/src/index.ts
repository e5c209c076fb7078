export type { Claim } from './claim.ts'
export { createDatabase, type Database } from './database.ts'
export { databasePart } from './database-part.ts'
export { isAway, isFault, isTransient, mayBeItemsOwn } from './errors.ts'
export {
  attemptsAfter,
  type Cause,
  type Counts,
  findGivenBack,
  lockClaimed,
  parkPayment,
  savePostponed,
} from './given-back.ts'
export { ALONE, createGroupCommit, type GroupCommit, type GroupCommitOptions } from './group-commit.ts'
export { serviceSession } from './migrate/schema.ts'
export { discard, requeue } from './operator/dead-letters.ts'
export { isParked } from './operator/parked-payments.ts'
export { settleByHand } from './operator/settle-by-hand.ts'
export { outcomeMessage } from './outcome-message.ts'
export { findPayment } from './payment-row.ts'
export {
  type ClaimOptions,
  claimPayments,
  insertPayments,
  type NewClaim,
  type NewPayment,
  type NewPaymentMessage,
  type Settling,
  settlePayments,
} from './payment-store.ts'
export { hasOverdue, hastenRedrive, type Overdue, takeOverdue } from './redrives.ts'
export type { ReferenceHolder } from './reference-holder.ts'
export { waitForStandby } from './standby.ts'
export type { Tables } from './tables.ts'

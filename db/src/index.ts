export { createDatabase, type DatabaseOptions, sessionSettings } from './database.ts'
export { databasePart } from './database-part.ts'
export { CommitInDoubtError, isFault, isTransient } from './errors.ts'
export { findGivenBack, type GivenBack } from './given-back.ts'
export { ensureSchema, migrate, SCHEMA_NEEDED, SchemaError } from './migrate.ts'
export { type Done, discard, requeue } from './operator/dead-letters.ts'
export { isParked } from './operator/parked-payments.ts'
export { settleByHand } from './operator/settle-by-hand.ts'
export { outcomeMessage } from './outcome-message.ts'
export {
  type Claim,
  type ClaimOptions,
  claimPayment,
  findPayment,
  type InsertOptions,
  insertPayment,
  lockClaimed,
  parkPayment,
  savePostponed,
  saveSettled,
} from './payment-store.ts'
export { hasOverdue, hastenRedrive, type Overdue, type RedriveOptions, takeOverdue } from './redrives.ts'
export type { Tables } from './tables.ts'

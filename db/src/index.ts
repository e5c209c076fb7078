export { createDatabase, type DatabaseOptions, sessionSettings } from './database.ts'
export { databasePart } from './database-part.ts'
export { CommitInDoubtError, isTransient } from './errors.ts'
export { ensureSchema, migrate, SCHEMA_NEEDED, SchemaError } from './migrate.ts'
export {
  type Claim,
  type ClaimOptions,
  claimPayment,
  findPayment,
  insertPayment,
  lockClaimed,
  parkPayment,
  REDRIVE_AFTER_MS,
  savePostponed,
  saveSettled,
} from './payment-store.ts'
export type { Tables } from './tables.ts'

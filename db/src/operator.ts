/** Functions for the operator's commands. They find a payment and a key by its id alone, of any merchant. */
export { createKey } from './merchants/create-key.ts'
export { type KeyFacts, listKeys } from './merchants/list-keys.ts'
export { createMerchant, listMerchants, type Merchant } from './merchants/merchants.ts'
export { revokeKey } from './merchants/revoke-key.ts'
export { rotateKey } from './merchants/rotate-key.ts'
export { discard, requeue } from './operator/dead-letters.ts'
export { settleByHand } from './operator/settle-by-hand.ts'

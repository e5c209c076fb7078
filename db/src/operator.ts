/** Functions for the operator's commands. They find a payment by its id alone, of any merchant. */
export { discard, requeue } from './operator/dead-letters.ts'
export { settleByHand } from './operator/settle-by-hand.ts'

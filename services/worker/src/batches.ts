import {
  ALONE,
  type Claim,
  claimPayments,
  createGroupCommit,
  type GroupCommit,
  lastStatement,
  type NewClaim,
  type SettlementWrite,
  settlePayments,
  type Tables,
} from '@cashflow/db'
import { type Outcome, outcomeMessage, type Payment, type PaymentStatus, settlePayment } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { type Clock, createTimeLimit, type TimeLimit } from './time-limit.ts'

// For the claim's answer to arrive, the settling that follows the charge, and clocks that do not run alike.
const LEASE_MARGIN_MS = 5_000
// Eight sessions at the same time, for both: fewer than the pool has, so that the rest is not kept waiting.
const LIMITS = { batchMax: 100, writersMax: 2, aloneMax: 2 }

export interface TimedClaim {
  readonly claim: Exclude<Claim, { verdict: 'locked' }>
  /** The claim has to be over before. */
  readonly lease: TimeLimit
  /** Once it has passed, too little of the lease is left to begin with. */
  readonly margin: TimeLimit
}

/** What payments in hand at the same time do together. An item is to be repeated as it is after a transient error. */
export interface Batches {
  readonly claims: GroupCommit<NewClaim, TimedClaim>
  /** Undefined: the claim holds the payment no longer. */
  readonly settlements: GroupCommit<SettlementWrite, PaymentStatus | undefined>
}

export interface BatchOptions {
  db: Kysely<Tables>
  providerDeadlineMs: number
  redriveAfterMs: number
  attemptsMax: number
  clocks?: readonly Clock[] | undefined
}

export function createBatches(options: BatchOptions): Batches {
  return {
    claims: createGroupCommit({ ...LIMITS, commit: (claims, alone) => claim(claims, alone, options) }),
    settlements: createGroupCommit({
      ...LIMITS,
      commit: (settlings, alone) =>
        options.db.transaction().execute((tx) => settlePayments(lastStatement(tx), settlings, alone)),
    }),
  }
}

async function claim(
  claims: readonly NewClaim[],
  alone: boolean,
  { db, providerDeadlineMs, redriveAfterMs, attemptsMax, clocks }: BatchOptions,
): Promise<(TimedClaim | typeof ALONE)[]> {
  const leaseMs = providerDeadlineMs + 2 * LEASE_MARGIN_MS
  // From before the statement is sent: here the lease never ends later than in the database.
  const lease = createTimeLimit(leaseMs, clocks)
  const margin = createTimeLimit(LEASE_MARGIN_MS, clocks)
  const made = await claimPayments(db, claims, { leaseMs, attemptsMax, redriveAfterMs }, alone)
  return made.map((claim) => (claim.verdict === 'locked' ? ALONE : { claim, lease, margin }))
}

/**
 * The end that an outcome brings a claimed payment to, made once: whatever is repeated finds it.
 *
 * @throws Error when the payment was not PENDING, which no claimed one is
 */
export function settlingOf(
  claimed: Payment,
  outcome: Outcome,
  { token, requestId }: { token: string; requestId: string | undefined },
): SettlementWrite {
  const settlement = settlePayment(claimed, outcome, new Date())
  if (!settlement.settled) throw new Error(`A claimed payment was ${settlement.status}`)
  const { payment, event } = settlement
  return {
    payment,
    event,
    token,
    actor: 'worker',
    requestId,
    messages: [outcomeMessage(payment, event, { messageId: uuidv7(), requestId })],
  }
}

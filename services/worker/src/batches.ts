import {
  type Claim,
  claimPayments,
  createGroupCommit,
  type GroupCommit,
  lockClaimed,
  type NewClaim,
  outcomeMessage,
  type Settled,
  saveSettled,
  type Tables,
  waitForStandby,
} from '@cashflow/db'
import { type Outcome, type PaymentStatus, settlePayment } from '@cashflow/domain'
import type { Kysely, Transaction } from 'kysely'
import type { PaymentMessage } from './read-delivery.ts'
import { type Clock, createTimeLimit, type TimeLimit } from './time-limit.ts'

// For the claim's answer to arrive, the settling that follows the charge, and clocks that do not run alike.
const LEASE_MARGIN_MS = 5_000
// Eight sessions at the same time, for both: fewer than the pool has, so that the rest is not kept waiting.
const LIMITS = { batchMax: 100, writersMax: 2, aloneMax: 2 }

export interface TimedClaim {
  readonly claim: Claim
  /** The claim has to be over before. */
  readonly lease: TimeLimit
  /** Once it has passed, too little of the lease is left to begin with. */
  readonly margin: TimeLimit
}

export interface Settling {
  readonly message: PaymentMessage
  /** Of the claim. */
  readonly token: string
  readonly outcome: Outcome
}

/** What payments in hand at the same time do together. An item is to be repeated as it is after a transient error. */
export interface Batches {
  readonly claims: GroupCommit<NewClaim, TimedClaim>
  /** Undefined: the claim holds the payment no longer. */
  readonly settlements: GroupCommit<Settling, PaymentStatus | undefined>
}

export interface BatchOptions {
  db: Kysely<Tables>
  providerDeadlineMs: number
  redriveAfterMs: number
  attemptsMax: number
  clocks?: readonly Clock[] | undefined
}

export function createBatches(options: BatchOptions): Batches {
  const begun = new WeakSet<Settling>()
  return {
    claims: createGroupCommit({ ...LIMITS, commit: (claims) => claim(claims, options) }),
    settlements: createGroupCommit({
      ...LIMITS,
      commit: (settlings) =>
        options.db.transaction().execute(async (tx) => {
          // An earlier run has failed, and may have committed all the same; this one may find nothing to write.
          if (settlings.some((settling) => begun.has(settling))) await waitForStandby(tx)
          for (const settling of settlings) begun.add(settling)
          return await settle(tx, settlings)
        }),
    }),
  }
}

async function claim(
  claims: readonly NewClaim[],
  { db, providerDeadlineMs, redriveAfterMs, attemptsMax, clocks }: BatchOptions,
): Promise<TimedClaim[]> {
  const leaseMs = providerDeadlineMs + 2 * LEASE_MARGIN_MS
  // From before the statement is sent: here the lease never ends later than in the database.
  const lease = createTimeLimit(leaseMs, clocks)
  const margin = createTimeLimit(LEASE_MARGIN_MS, clocks)
  const made = await claimPayments(db, claims, { leaseMs, attemptsMax, redriveAfterMs })
  return made.map((claim) => ({ claim, lease, margin }))
}

/** Status, event and message of each payment that its claim still holds, or none of them all. */
async function settle(tx: Transaction<Tables>, settlings: readonly Settling[]): Promise<(PaymentStatus | undefined)[]> {
  const locked = await lockClaimed(
    tx,
    settlings.map(({ message, token }) => ({ id: message.paymentId, token })),
  )
  const settled: Settled[] = []
  const statuses = settlings.map(({ message: { requestId }, outcome }, index) => {
    const payment = locked[index]
    if (!payment) return undefined
    const settlement = settlePayment(payment, outcome, new Date())
    // This very claim has settled it: the answer to an earlier COMMIT was lost.
    if (!settlement.settled) return settlement.status
    const message = outcomeMessage(settlement.payment, settlement.event, requestId)
    settled.push({ ...settlement, actor: 'worker', requestId, message })
    return settlement.payment.status
  })
  await saveSettled(tx, settled)
  return statuses
}

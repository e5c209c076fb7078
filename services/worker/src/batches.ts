import { Loops } from '@cashflow/async'
import { ALONE, createGroupCommit, onlyStatement, type Tables } from '@cashflow/db'
import { type Claim, claimPayments, type NewClaim, type SettlementWrite, settlePayments } from '@cashflow/db/worker'
import type { PaymentStatus } from '@cashflow/domain'
import { SpanKind, type Spans, untilDone } from '@cashflow/tracing'
import type { Kysely } from 'kysely'
import { type Clock, createTimeLimit, type TimeLimit } from './time-limit.ts'

// Time for the claim's answer to arrive, for the settlement after the charge, and for clocks that do not run alike.
const LEASE_MARGIN_MS = 5_000
// Claims and settlements use at most eight sessions together. The pool has more, so other work need not wait.
const LIMITS = { batchMax: 100, writersMax: 2, aloneMax: 2 }

/** A claim or a settlement within a batch. */
interface Member {
  /** The place of its span. Undefined if it is not recorded. */
  readonly span?: string | undefined
}

export type Claiming = NewClaim & Member
export type Settling = SettlementWrite & Member

export interface TimedClaim {
  readonly claim: Exclude<Claim, { verdict: 'locked' }>
  /** Time of the answer, by this worker's clock. */
  readonly claimedAt: Date
  /** The end of the claim's lease. */
  readonly leaseEnd: TimeLimit
  /** The latest time to begin the charge. After it, the lease may be too short for the charge and its settlement. */
  readonly startBy: TimeLimit
}

export type Batches = ReturnType<typeof createBatches>

export interface BatchOptions {
  db: Kysely<Tables>
  providerDeadlineMs: number
  redriveAfterMs: number
  attemptsMax: number
  clocks?: readonly Clock[] | undefined
  /** Undefined where nothing is traced. */
  spans?: Spans | undefined
}

/**
 * Creates the shared transactions of payments that are processed at the same time. After a transient error, commit the same
 * item again.
 */
export function createBatches(options: BatchOptions) {
  const { db, spans } = options
  const loops = new Loops()

  /** Records the transaction of a batch, with links to the spans of its members. */
  function traced<Result>(name: string, members: readonly Member[], work: () => Promise<Result>): Promise<Result> {
    if (!spans) return work()
    const attributes = { 'db.system.name': 'postgresql', 'db.operation.batch.size': members.length }
    const places = members.map(({ span }) => span)
    return untilDone(spans.batch(name, places, { kind: SpanKind.CLIENT, attributes }), work())
  }

  const verdicts = { claimed: 0, settled: 0, parked: 0, leased: 0, exhausted: 0, unknown: 0, locked: 0 }
  return {
    /** Number of claims so far, by verdict. */
    verdicts: verdicts as Readonly<typeof verdicts>,
    /** For /livez: the transactions of the payments. */
    loops,
    claims: createGroupCommit<Claiming, TimedClaim>({
      ...LIMITS,
      commit: (claims, alone) =>
        traced('claim payments', claims, () => loops.track('claims', claim(claims, alone, options, verdicts))),
    }),
    /** Resolves with undefined when the claim does not hold the payment any more. */
    settlements: createGroupCommit<Settling, PaymentStatus | undefined>({
      ...LIMITS,
      commit: (settlings, alone) =>
        traced('settle payments', settlings, () =>
          loops.track(
            'settlements',
            db.transaction().execute((tx) => settlePayments(onlyStatement(tx), settlings, alone)),
          ),
        ),
    }),
  }
}

async function claim(
  claims: readonly Claiming[],
  alone: boolean,
  { db, providerDeadlineMs, redriveAfterMs, attemptsMax, clocks }: BatchOptions,
  verdicts: Record<Claim['verdict'], number>,
): Promise<(TimedClaim | typeof ALONE)[]> {
  const leaseMs = providerDeadlineMs + 2 * LEASE_MARGIN_MS
  // Measured from before the statement is sent, so that the lease never ends later here than in the database.
  const leaseEnd = createTimeLimit(leaseMs, clocks)
  const startBy = createTimeLimit(LEASE_MARGIN_MS, clocks)
  const made = await claimPayments(db, claims, { leaseMs, attemptsMax, redriveAfterMs }, alone)
  for (const { verdict } of made) verdicts[verdict] += 1
  const claimedAt = new Date()
  return made.map((claim) => (claim.verdict === 'locked' ? ALONE : { claim, claimedAt, leaseEnd, startBy }))
}

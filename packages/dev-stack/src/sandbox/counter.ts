import type { AnswerRecord, ChargeRecord } from './records.ts'

/** Time that a payment has after its creation, and after the last fault, before it counts as lost. */
export const PATIENCE_MS = 60_000

/** The value of `metadata.simulate` with which a payment is never settled by itself: it is parked for an operator. */
const ENDLESS = 'timeout'

export type Counter = ReturnType<typeof createCounter>

/** A payment that the runner has asked for. */
export interface Counted {
  readonly reference: string
  /** Undefined if no answer told it: the payment may exist or not. */
  readonly id: string | undefined
  readonly acceptedAt: number
  readonly endless: boolean
  /** True if PostgreSQL has no row of it. */
  missing: boolean
  /** Time at which its row was still PENDING. */
  pendingAt: number | undefined
}

/** What PostgreSQL had about a batch at the time `at`. */
export interface Seen {
  readonly at: number
  /** Status by id. */
  readonly statuses: ReadonlyMap<string, string>
  /** References that two payments have. */
  readonly twice: ReadonlySet<string>
}

/**
 * Counts from what the runner was answered, what the provider charged, and what PostgreSQL has:
 *
 * - lost: accepted with 201, and without a row, or not settled in time;
 * - doubled: a reference with two payments, or a payment charged under two keys or with two outcomes.
 */
export function createCounter() {
  const open = new Set<Counted>()
  const settled = new Set<Counted>()
  /** Without an answer, or refused. */
  const unaccepted = new Set<Counted>()
  const doubled = new Set<string>()
  const charges = new Map<string, ChargeRecord>()
  const numbers = { accepted: 0, refused: 0, unanswered: 0 }
  /** The newest creation among settled payments, and the last time at which one was found settled. */
  let settledOf = Number.NEGATIVE_INFINITY
  let settledAt = Number.NEGATIVE_INFINITY

  function settle(payment: Counted, at: number): void {
    if (settled.has(payment)) return
    open.delete(payment)
    settled.add(payment)
    settledOf = Math.max(settledOf, payment.acceptedAt)
    settledAt = at
  }

  function reopen(payment: Counted): void {
    settled.delete(payment)
    open.add(payment)
  }

  /**
   * True for a payment that should have been settled. Under more load than the workers can take, payments wait for those before
   * them. So one that waits is late only if the workers are past its time, or settle nothing any more.
   */
  function isLate({ acceptedAt, pendingAt, endless }: Counted, quietSince: number): boolean {
    if (endless || pendingAt === undefined) return false
    const isDue = pendingAt >= Math.max(acceptedAt, quietSince) + PATIENCE_MS
    return isDue && (settledOf >= acceptedAt + PATIENCE_MS || pendingAt >= settledAt + PATIENCE_MS)
  }

  return {
    rounds: { open: createRound(open), settled: createRound(settled), unaccepted: createRound(unaccepted) },
    noteAnswer({ at, reference, status, id, simulate }: AnswerRecord): void {
      const endless = simulate === ENDLESS
      const facts = { reference, id: id ?? undefined, acceptedAt: Date.parse(at), endless }
      const payment: Counted = { ...facts, missing: false, pendingAt: undefined }
      if (id !== null) {
        numbers.accepted += 1
        open.add(payment)
      } else {
        numbers[status === null ? 'unanswered' : 'refused'] += 1
        unaccepted.add(payment)
      }
    },
    noteCharge(charge: ChargeRecord): void {
      const { payment_id: id, key, outcome } = charge
      const first = charges.get(id)
      if (!first) charges.set(id, charge)
      else if (first.key !== key || first.outcome !== outcome) doubled.add(id)
    },
    noteSeen(batch: readonly Counted[], { at, statuses, twice }: Seen): void {
      for (const payment of batch) {
        const { id, reference } = payment
        if (twice.has(reference)) doubled.add(id ?? reference)
        if (id === undefined) continue
        const status = statuses.get(id)
        if (status !== undefined && status !== 'PENDING') {
          settle(payment, at)
          continue
        }
        payment.missing = status === undefined
        if (!payment.missing) payment.pendingAt = at
        reopen(payment)
      }
    },
    /** @param quietSince end of the last fault, infinite during one, in milliseconds since 1970 */
    numbers(quietSince: number) {
      let lost = 0
      for (const payment of open) if (payment.missing || isLate(payment, quietSince)) lost += 1
      return { ...numbers, settled: settled.size, waiting: open.size - lost, lost, doubled: doubled.size }
    },
  }
}

/** Returns a function that returns the next members of a set, `max` at most. It begins again after the last one. */
function createRound<Member>(set: ReadonlySet<Member>): (max: number) => Member[] {
  let members = set.values()
  return (max) => {
    const batch: Member[] = []
    while (batch.length < max) {
      const next = members.next()
      if (next.done) {
        members = set.values()
        break
      }
      batch.push(next.value)
    }
    return batch
  }
}

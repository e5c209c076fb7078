import { DeadlineError, errorMessage, tlsFault, within } from '@cashflow/async'
import type { Outcome, Payment } from '@cashflow/domain'
import { createTimeLimit, type TimeLimit } from '../time-limit.ts'

/** The result of one attempt to charge a payment. */
export type ProviderAnswer =
  | Outcome
  /** No answer: the payment may have been charged or not. The provider asked not to be tried again before `retryAfterMs`. */
  | { readonly outcome: 'unknown'; readonly reason: string; readonly retryAfterMs?: number }
  /** The provider has the charge and will decide later. It asked not to be asked again before `retryAfterMs`. */
  | { readonly outcome: 'pending'; readonly retryAfterMs?: number }
  /**
   * The provider refuses the form of this payment. `othersAnswered`: it answered another payment shortly before, so the
   * settings are right.
   */
  | { readonly outcome: 'refused'; readonly reason: string; readonly othersAnswered?: boolean }
  /** The provider rejects all requests of this worker: an operator has to correct its credentials or rights. */
  | { readonly outcome: 'rejected'; readonly reason: string }
  /** The provider was not asked, because it is known to be away, or for another `reason`. */
  | { readonly outcome: 'not_attempted'; readonly reason?: string }

/** The end of one attempt. After it another worker may claim the payment. Ask `passed` in the tick that writes a request. */
export interface Deadline extends TimeLimit {
  /** Aborts at the deadline. In a process that was frozen it aborts only after the input that arrived before is handled. */
  readonly signal: AbortSignal
}

/** Earlier requests about the payment. If `attempts` is above 0, or `pending` is true, the charge may exist already. */
export interface Earlier {
  /** Attempts without an answer. */
  readonly attempts: number
  /** The provider once answered that it has not decided yet. */
  readonly pending: boolean
}

/** The port to the service that moves the money. */
export interface Provider {
  /**
   * Charges a payment. Called again after every answer except approved and declined, always with the payment's id as
   * idempotency key, so the provider must charge a key at most once. A rejection counts as `unknown`. Send nothing after
   * the deadline has passed.
   *
   * @param traceparent the attempt's place in a trace, to be sent on (W3C Trace Context)
   */
  charge(payment: Payment, deadline: Deadline, earlier: Earlier, traceparent?: string): Promise<ProviderAnswer>
}

export interface Attempt extends Earlier {
  readonly deadlineMs: number
  /** The end of the claim's lease. Nothing may be sent after it. */
  readonly leaseEnd: TimeLimit
  /** The attempt's place in a trace. */
  readonly traceparent?: string | undefined
}

/** Makes one attempt to charge a payment. Never rejects, and resolves at its deadline at the latest. */
export type Charge = (payment: Payment, attempt: Attempt) => Promise<ProviderAnswer>

/** Asks the provider once. Never rejects, and resolves at the deadline even if the provider ignores it. */
export async function attemptCharge(
  provider: Provider,
  payment: Payment,
  { attempts, pending, traceparent, deadlineMs, leaseEnd }: Attempt,
): Promise<ProviderAnswer> {
  const attemptEnd = createTimeLimit(deadlineMs)
  const ended = new AbortController()
  const deadline = { signal: ended.signal, passed: () => attemptEnd.passed() || leaseEnd.passed() }
  const charge = async () => await provider.charge(payment, deadline, { attempts, pending }, traceparent)
  try {
    return await within(charge(), { deadlineMs, what: 'the charge' })
  } catch (error) {
    if (!(error instanceof DeadlineError))
      return { outcome: 'unknown', reason: tlsFault(error)?.reason ?? errorMessage(error) }
    const reason = `no answer within ${deadlineMs} ms`
    ended.abort(new Error(reason))
    return { outcome: 'unknown', reason }
  }
}

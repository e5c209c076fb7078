import type { Outcome, Payment } from '@cashflow/domain'
import { createTimeLimit, type TimeLimit } from '../time-limit.ts'

/** What a provider says of a charge. */
export type ProviderAnswer =
  | Outcome
  /** No answer: the payment may have been charged or not. `retryAfterMs`: it asked not to be tried again before. */
  | { readonly outcome: 'unknown'; readonly reason: string; readonly retryAfterMs?: number }
  /** It has the charge and will decide later. `retryAfterMs`: it asked not to be asked again before. */
  | { readonly outcome: 'pending'; readonly retryAfterMs?: number }
  /** It refuses this payment's form. `othersAnswered`: shortly before it answered another one, so the settings are right. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly othersAnswered?: boolean }
  /** It refuses all requests of this worker: credentials or rights are wrong until an operator corrects them. */
  | { readonly outcome: 'misconfigured'; readonly reason: string }
  /** It was not asked: it is known to be away. */
  | { readonly outcome: 'withheld' }

/** When an attempt has to be over, and its payment may be another worker's. */
export interface Deadline extends TimeLimit {
  /** Aborts at the deadline; in a process that was frozen, only after what has arrived meanwhile was handled. */
  readonly signal: AbortSignal
  /** Never late. To be asked in the same tick in which a request is written. */
  passed(): boolean
}

/** What is known of a payment's earlier requests. The charge may exist already with `attempts` above 0, or `pending`. */
export interface Earlier {
  /** Attempts without an answer. */
  readonly attempts: number
  /** The provider once answered that it has not decided yet. */
  readonly pending: boolean
}

/** The port to whoever moves the money. */
export interface Provider {
  /**
   * Charges a payment. It is asked again after any answer but approved and declined, always with the payment's id as
   * idempotency key, so it must charge a key at most once. A rejection counts as unknown. Nothing may be sent once the
   * deadline has passed.
   */
  charge(payment: Payment, deadline: Deadline, earlier: Earlier): Promise<ProviderAnswer>
}

/** Never rejects, and ends at the deadline whatever the provider does. */
export async function answerOf(
  provider: Provider,
  ...[payment, deadline, earlier]: Parameters<Provider['charge']>
): Promise<ProviderAnswer> {
  const { signal } = deadline
  const { promise: aborted, resolve } = Promise.withResolvers<ProviderAnswer>()
  const onAbort = () => resolve({ outcome: 'unknown', reason: errorText(signal.reason) })
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([provider.charge(payment, deadline, earlier), aborted])
  } catch (error) {
    return { outcome: 'unknown', reason: errorText(error) }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** One attempt that ends at the deadline, and never rejects. Nothing may be sent once the lease has passed either. */
export async function attemptCharge(
  provider: Provider,
  payment: Payment,
  { attempts, pending, deadlineMs, lease }: Earlier & { deadlineMs: number; lease: TimeLimit },
): Promise<ProviderAnswer> {
  const ownTime = createTimeLimit(deadlineMs)
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs)
  const deadline = { signal: over.signal, passed: () => ownTime.passed() || lease.passed() }
  try {
    return await answerOf(provider, payment, deadline, { attempts, pending })
  } finally {
    clearTimeout(timer)
  }
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A connection tried at several addresses fails without a message of its own.
  return error.message || ('code' in error ? String(error.code) : error.name)
}

import type { Outcome, Payment } from '@cashflow/domain'

/** What a provider says of a charge. Unknown is no answer: the payment may have been charged or not. */
export type ProviderAnswer = Outcome | { readonly outcome: 'unknown'; readonly reason: string }

/** The port to whoever moves the money. */
export interface Provider {
  /**
   * Charges a payment. It is asked again after an unknown answer, always with the payment's id as idempotency key, so
   * it must charge a key at most once. A rejection counts as unknown. The signal aborts at the deadline.
   */
  charge(payment: Payment, signal: AbortSignal): Promise<ProviderAnswer>
}

/** One attempt that ends at the deadline whatever the provider does, and never rejects. */
export async function attemptCharge(provider: Provider, payment: Payment, deadlineMs: number): Promise<ProviderAnswer> {
  const signal = AbortSignal.timeout(deadlineMs)
  const deadline = new Promise<ProviderAnswer>((resolve) => {
    signal.addEventListener('abort', () => resolve({ outcome: 'unknown', reason: `no answer within ${deadlineMs} ms` }))
  })
  const answer = provider.charge(payment, signal).catch((error: unknown): ProviderAnswer => {
    return { outcome: 'unknown', reason: error instanceof Error ? error.message : String(error) }
  })
  return Promise.race([answer, deadline])
}

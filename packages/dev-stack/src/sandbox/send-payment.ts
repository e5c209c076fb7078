import { errorMessage, fullJitterMs, pause } from '@cashflow/async'
import type { AnswerRecord } from './records.ts'

/** Longer than the longest freeze, and the time that PostgreSQL takes to recover. */
const PATIENCE_MS = 120_000
const ATTEMPT_MS = 10_000
const BACKOFF = { baseMs: 200, capMs: 5_000 }

export interface PaymentToSend {
  /** Address of the api. */
  readonly api: string
  readonly amount: string
  readonly currency: string
  readonly reference: string
  readonly simulate: string | null
}

/**
 * Creates a payment, and tells how it was answered. A request without an answer, and one that may succeed later, is repeated with
 * its idempotency key: that makes no second payment.
 *
 * @param signal ends the attempts
 */
export async function sendPayment(payment: PaymentToSend, signal: AbortSignal): Promise<AnswerRecord> {
  const { reference, simulate } = payment
  const deadline = performance.now() + PATIENCE_MS
  for (let attempt = 1; ; attempt++) {
    const answer = await sendOnce(payment, signal)
    const delayMs = (answer.retryAfterS ?? 0) * 1_000 + fullJitterMs(attempt, BACKOFF)
    if (!answer.retryable || signal.aborted || performance.now() + delayMs > deadline) {
      const { status, id, error } = answer
      const at = new Date().toISOString()
      return { at, reference, idempotency_key: reference, simulate, status, id, error }
    }
    await pause(delayMs, signal)
  }
}

type Attempt = Pick<AnswerRecord, 'status' | 'id' | 'error'> & { retryable: boolean; retryAfterS?: number }

async function sendOnce(
  { api, amount, currency, reference, simulate }: PaymentToSend,
  signal: AbortSignal,
): Promise<Attempt> {
  try {
    const response = await fetch(`${api}/api/v1/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `"${reference}"` },
      body: JSON.stringify({ amount, currency, reference, ...(simulate !== null && { metadata: { simulate } }) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]),
    })
    const body = (await response.json()) as { id?: string; code?: string; retryable?: boolean }
    const { status } = response
    if (status === 201 && typeof body.id === 'string') return { status, id: body.id, error: null, retryable: false }
    const { code = 'not an answer of the api', retryable = status >= 500 } = body
    const retryAfterS = Number(response.headers.get('retry-after'))
    return { status, id: null, error: code, retryable, ...(retryAfterS > 0 && { retryAfterS }) }
  } catch (error) {
    return { status: null, id: null, error: errorMessage(error), retryable: true }
  }
}

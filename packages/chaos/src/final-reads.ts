import { pause } from '@cashflow/async'
import { get, showsState } from './payment-api.ts'
import { idOf, type MutablePaymentRequest } from './payment-request.ts'

const CONCURRENCY = 16
const RETRY_MS = 500

/**
 * Reads each payment through each API, after the system has settled. A missing answer, or a 503, is retried for
 * `finalReadMs` milliseconds, and is then recorded as the answer.
 */
export async function readAll(
  paymentRequests: readonly MutablePaymentRequest[],
  apiUrls: readonly string[],
  { finalReadMs }: { finalReadMs: number },
): Promise<void> {
  const unresponsive = new Set<string>()

  async function read(request: MutablePaymentRequest, id: string, apiUrl: string): Promise<void> {
    const giveUpAt = performance.now() + finalReadMs
    // An API that does not answer costs `finalReadMs` once, not once for each payment.
    while (!unresponsive.has(apiUrl)) {
      const view = await get(apiUrl, id, { isFinal: true })
      const isLate = performance.now() >= giveUpAt
      if (showsState(view) || isLate) request.views.push(view)
      if (showsState(view)) return
      if (isLate) unresponsive.add(apiUrl)
      else await pause(RETRY_MS)
    }
  }

  const remaining = paymentRequests.values()
  const readRemaining = async () => {
    // All readers share the iterator, so each payment is read by one of them.
    for (const request of remaining) {
      const id = idOf(request)
      if (id !== undefined) for (const apiUrl of apiUrls) await read(request, id, apiUrl)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, readRemaining))
}

import { CANCELED } from '@cashflow/domain'
import * as z from 'zod'
import type { ProviderAnswer } from './provider.ts'

const charge = z.discriminatedUnion('status', [
  z.object({ status: z.literal('approved') }),
  z.object({ status: z.literal('pending') }),
  z.object({
    status: z.literal('declined'),
    failure_code: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .nullish(),
  }),
])

const CONFIGURATION_ERRORS: readonly number[] = [401, 403]
const DECLINES: readonly number[] = [402, 422]
const REFUSALS: readonly number[] = [400, 404, 422]

export interface HttpAnswer {
  readonly status: number
  readonly retryAfter: string | null
  /** Undefined when the body was too large. */
  readonly body: Uint8Array | undefined
}

/**
 * Reads the HTTP answer about a charge. Only the answers that docs/provider.md names decide. After any other answer, the
 * provider may have moved money.
 */
export function readCharge({ status, retryAfter, body }: HttpAnswer): ProviderAnswer {
  if (CONFIGURATION_ERRORS.includes(status)) return { outcome: 'rejected', reason: `HTTP ${status}` }
  const isSuccess = status >= 200 && status <= 299
  const read = isSuccess || DECLINES.includes(status) ? charge.safeParse(readJson(body)) : undefined
  const found = read?.success ? read.data : undefined
  if (found?.status === 'declined') return { outcome: 'declined', failureCode: failureCodeOf(found.failure_code) }
  if (found?.status === 'approved' && isSuccess) return { outcome: 'approved' }
  if (status === 202 || (found?.status === 'pending' && isSuccess)) return { outcome: 'pending', ...askedDelay() }
  if (REFUSALS.includes(status)) return { outcome: 'refused', reason: `HTTP ${status}` }
  const unreadable = read ? ' with a body that does not say what became of the charge' : ''
  return { outcome: 'unknown', reason: `HTTP ${status}${unreadable}`, ...askedDelay() }

  function askedDelay(): { retryAfterMs?: number } {
    const retryAfterMs = readRetryAfter(retryAfter)
    return retryAfterMs === undefined ? {} : { retryAfterMs }
  }
}

function failureCodeOf(given: string | null | undefined): string {
  // The client has not canceled the payment, and must not read that it has.
  return given === CANCELED ? `${CANCELED}_by_provider` : (given ?? 'declined')
}

function readJson(body: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    return undefined // The schema refuses it.
  }
}

/** The longest delay that a provider can ask for: a payment is looked at again after an hour at the latest. */
export const RETRY_AFTER_MAX_MS = 3_600_000

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** Milliseconds from `Retry-After` (RFC 9110, section 10.2.3), in seconds or as an HTTP date. Undefined for other text. */
export function readRetryAfter(value: string | null, now = Date.now()): number | undefined {
  if (value === null) return undefined
  const text = value.trim()
  if (/^\d+$/.test(text)) return Math.min(RETRY_AFTER_MAX_MS, Number(text) * 1_000)
  const at = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) return undefined
  return Math.min(RETRY_AFTER_MAX_MS, Math.max(0, at - now))
}

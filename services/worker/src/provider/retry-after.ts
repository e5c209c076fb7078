/** However long a provider asks for: an hour is when a payment is looked at again. */
export const RETRY_AFTER_MAX_MS = 3_600_000

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** Milliseconds from `Retry-After` (RFC 9110, section 10.2.3): seconds or an HTTP date. Undefined for all else. */
export function readRetryAfter(value: string | null, now = Date.now()): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return Math.min(RETRY_AFTER_MAX_MS, Number(text) * 1_000)
  const at = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) return undefined
  return Math.min(RETRY_AFTER_MAX_MS, Math.max(0, at - now))
}

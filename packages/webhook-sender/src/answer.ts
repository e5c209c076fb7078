import type { IncomingHttpHeaders } from 'node:http'

const ANSWER_BYTES_MAX = 1_024
const RETRY_AFTER_MS_MAX = 24 * 3_600_000
/** The format that RFC 9110 §5.6.7 has servers send. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/

/**
 * The beginning of a body as text of at most 1,024 bytes in UTF-8. Bytes that are no UTF-8, and NUL, which PostgreSQL does
 * not store, become U+FFFD. Other control characters are kept. A character that the end cuts off is left out.
 */
export function answerText(chunks: readonly Buffer[]): string {
  const [first = Buffer.alloc(0)] = chunks
  const bytes = chunks.length <= 1 ? first : Buffer.concat(chunks)
  if (bytes.length === 0) return ''
  const text = beginning(bytes).replaceAll('\0', '\ufffd')
  // U+FFFD has three bytes, and stands for one.
  return Buffer.byteLength(text) <= ANSWER_BYTES_MAX ? text : beginning(Buffer.from(text))
}

function beginning(bytes: Buffer): string {
  return new TextDecoder().decode(bytes.subarray(0, ANSWER_BYTES_MAX), { stream: bytes.length > ANSWER_BYTES_MAX })
}

/**
 * Reads the header `Retry-After`: seconds, or an HTTP date.
 *
 * @returns the time to wait in milliseconds, at most 24 hours and 0 for a date that has passed. Undefined for any other text.
 */
export function retryAfterMs(header: string | undefined, nowMs = Date.now()): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : HTTP_DATE.test(text) ? Date.parse(text) - nowMs : Number.NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX)
}

/** Reads the header `Webhook-Outcome`, in which a receiver may say what it did with an event. */
export function outcomeIn(headers: IncomingHttpHeaders): string | undefined {
  const text = String(headers['webhook-outcome'] ?? '')
    .trim()
    .toLowerCase()
  return /^[a-z]{1,32}$/.test(text) ? text : undefined
}

/** A traceparent is a place in a trace: `00-<trace id>-<span id>-<flags>` (W3C Trace Context, level 1). */
const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const VERSION = '00'
const INVALID_VERSION = 'ff'
const LENGTH_MAX = 512
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)

/**
 * Reads the header `traceparent` of a client or of a message. That of a later version is read as one of version 00, as the
 * specification demands. Undefined for anything else: a malformed header means that there is no trace.
 */
export function readTraceparent(given: unknown): string | undefined {
  if (typeof given !== 'string' || given.length > LENGTH_MAX) return undefined
  const [, version, traceId, spanId, flags = '', more] = FORM.exec(given) ?? []
  if (version === undefined || traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  if (version === VERSION) return more === undefined ? given : undefined
  if (version === INVALID_VERSION) return undefined
  return `${VERSION}-${traceId}-${spanId}-0${Number.parseInt(flags, 16) & 1}`
}

/** The trace's id, for log lines. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent?.slice(3, 35)
}

export function spanIdOf(traceparent: string): string {
  return traceparent.slice(36, 52)
}

/** True if the spans of this place are recorded. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.charAt(54), 16) & 1) === 1
}

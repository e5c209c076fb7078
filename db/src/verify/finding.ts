/** A difference between what is stored and what it has to be. */
export interface Finding {
  /** Null if it is of no payment. */
  readonly paymentId: string | null
  /** What differs, such as `amount` or `hash of event 2`. */
  readonly what: string
  /** Null for nothing. */
  readonly expected: string | null
  readonly found: string | null
}

/** Reports a finding, unless both are the same. */
export type Differ = (what: string, expected: string | null, found: string | null) => void

const TEXT_MAX = 300

/** A text of a finding, which may hold what a client or an attacker wrote. */
export function shortened(text: string | null, max = TEXT_MAX): string | null {
  return text !== null && text.length > max ? `${text.slice(0, max)}…` : text
}

/** The finding that something cannot be read. */
export function unreadable(error: Error, paymentId: string | null, what = 'row or events'): Finding {
  const code = 'code' in error ? `${error.code} ` : ''
  return { paymentId, what, expected: 'readable', found: shortened(`${code}${error.message}`) }
}

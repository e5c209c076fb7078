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

const TEXT_MAX = 300

/** A text of a finding, which may hold what a client or an attacker wrote. */
export function shortened(text: string | null): string | null {
  return text !== null && text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text
}

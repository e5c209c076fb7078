/** An exact number: `digits` × 10^`exponent`, negative or not. `digits` has no zero at either end, and is empty for zero. */
export interface Decimal {
  readonly negative: boolean
  readonly digits: string
  readonly exponent: number
}

// RFC 8259 §6.
const JSON_NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/
// ASCII digits and at most one point with digits on both sides. Leading zeros are allowed: 007.50 has one meaning.
const PLAIN_NUMBER = /^()([0-9]+)(?:\.([0-9]+))?$/

/** Reads the source text of a JSON number, which may have a sign, an exponent and trailing zeros. */
export function readJsonNumber(source: string): Decimal | undefined {
  return read(JSON_NUMBER.exec(source))
}

/** Reads digits with at most one point between them. A sign, an exponent, a blank or a separator makes it undefined. */
export function readPlainNumber(text: string): Decimal | undefined {
  return read(PLAIN_NUMBER.exec(text))
}

// The number itself is never built, so 1e999999999 costs no more than 1. Zeros are trimmed with loops: /0+$/ needs
// quadratic time for a long run of zeros before another digit.
function read(match: RegExpExecArray | null): Decimal | undefined {
  if (!match) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const all = whole + fraction
  let start = 0
  let end = all.length
  while (start < end && all[start] === '0') start++
  while (end > start && all[end - 1] === '0') end--
  const zerosAtEnd = all.length - end
  return {
    negative: sign === '-',
    digits: all.slice(start, end),
    exponent: Number(exponent) - fraction.length + zerosAtEnd,
  }
}

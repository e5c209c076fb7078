/** An exact number: `digits` × 10^`exponent`, negative or not. `digits` has no zero at either end; zero has none at all. */
export interface Decimal {
  readonly negative: boolean
  readonly digits: string
  readonly exponent: number
}

// RFC 8259 §6.
const JSON_NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/
// Nothing but ASCII digits and one point with digits on both sides. Zeros may lead: 007.50 has one meaning.
const PLAIN_NUMBER = /^()([0-9]+)(?:\.([0-9]+))?$/

/** Reads a JSON number's source text: a sign, an exponent and trailing zeros are read for what they mean. */
export function readJsonNumber(source: string): Decimal | undefined {
  return read(JSON_NUMBER.exec(source))
}

/** Reads digits with at most one point between them: no sign, exponent, blank or separator. */
export function readPlainNumber(text: string): Decimal | undefined {
  return read(PLAIN_NUMBER.exec(text))
}

// Never builds the number: 1e999999999 costs no more than 1. And trims with loops: on a long run of zeros before another
// digit, /0+$/ is quadratic.
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

import { CURRENCIES, METADATA_LIMITS, REFERENCE_LENGTH_MAX } from '@cashflow/domain'
import { BODY_BYTES_MAX } from '../json-body.ts'

// What the functions of the domain check, which no schema can be derived from. The contract fuzzer holds it to them. Patterns
// use what RE2, Rust and ECMAScript share: generated clients compile them. So there is no look-ahead, and the descriptions
// have what is left.

const DIGITS_MAX = 15
const decimals = Object.values(CURRENCIES)
const decimalsMax = Math.max(...decimals)
const wholeDigitsMax = DIGITS_MAX - Math.min(...decimals)

/** The range of an amount as a JSON number. Without `multipleOf`: validators divide doubles, and refuse 9907.04. */
export const AMOUNT_RANGE = {
  minimum: Number(`1e-${decimalsMax}`),
  maximum: Number(`${'9'.repeat(wholeDigitsMax)}.${'9'.repeat(decimalsMax)}`),
}

export const AMOUNT_DOCUMENT = {
  description:
    'The exact amount, a JSON number or a string of digits with at most one point between them. It is greater than 0 and has at most 10^15 − 1 minor units and no more decimals than its currency. `100.500` is 100.50, and `100.505` is refused.',
  anyOf: [
    { type: 'number' as const, ...AMOUNT_RANGE },
    {
      type: 'string' as const,
      // The body's own limit: zeros before and after the digits have no meaning.
      maxLength: BODY_BYTES_MAX,
      pattern: `^0*[0-9]{1,${wholeDigitsMax}}(\\.[0-9]{1,${decimalsMax}}0*)?$`,
      not: { pattern: '^[0.]*$' },
    },
  ],
  examples: [100.5, '100.50'],
}

export const REFERENCE_DOCUMENT = {
  type: 'string' as const,
  description:
    'The merchant’s name for the payment, unique for the merchant and neither trimmed nor normalised. It has no control characters, and at least one letter, number, punctuation mark or symbol that is visible.',
  minLength: 1,
  maxLength: REFERENCE_LENGTH_MAX,
  pattern: '^\\P{Cc}*[\\p{L}\\p{N}\\p{P}\\p{S}]\\P{Cc}*$',
  examples: ['REF-001'],
}

const NO_NUL = '^[^\\x00]*$'

export const METADATA_DOCUMENT = {
  type: 'object' as const,
  description:
    'Strings that the merchant stores with the payment. U+0000, broken Unicode and the name `__proto__` are refused. In a sandbox, `simulate` chooses what becomes of the payment and its webhooks.',
  maxProperties: METADATA_LIMITS.pairsMax,
  propertyNames: {
    type: 'string' as const,
    minLength: 1,
    maxLength: METADATA_LIMITS.nameLengthMax,
    pattern: NO_NUL,
    not: { const: '__proto__' },
  },
  additionalProperties: { type: 'string' as const, maxLength: METADATA_LIMITS.valueLengthMax, pattern: NO_NUL },
  examples: [{ order: '4711' }],
}

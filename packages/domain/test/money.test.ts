import { expect } from 'chai'
import fc from 'fast-check'
import {
  AMOUNT_MINOR_MAX,
  CURRENCIES,
  type Currency,
  formatMoney,
  isSameAmount,
  moneyOf,
  readJsonNumber,
  readPlainNumber,
} from '../src/index.ts'

type Reader = typeof readJsonNumber

function minorOf(reader: Reader, text: string): bigint | string {
  const amount = reader(text)
  if (!amount) return 'not a number'
  const money = moneyOf(amount, 'USD')
  return money.ok ? money.value.amountMinor : money.refusal.code
}

const NINES = '9'.repeat(13)

// Each text as a JSON number's source, and as the characters of a JSON string.
const AMOUNTS: [text: string, asNumber: bigint | string, asString: bigint | string][] = [
  ['100.50', 10050n, 10050n],
  ['100', 10000n, 10000n],
  ['0.07', 7n, 7n],
  ['8.2', 820n, 820n],
  ['1136.1', 113610n, 113610n],
  ['0.01', 1n, 1n],
  ['100.500', 10050n, 10050n],
  ['100.5000000000000000000000000', 10050n, 10050n],
  ['007.50', 'not a number', 750n],
  ['00', 'not a number', 'amount_not_positive'],
  [`${NINES}.99`, AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX],
  ['10000000000000', 'amount_too_large', 'amount_too_large'],
  ['100000000000000000000000000', 'amount_too_large', 'amount_too_large'],
  ['100.505', 'amount_too_precise', 'amount_too_precise'],
  ['100.50000000000000001', 'amount_too_precise', 'amount_too_precise'],
  ['0.001', 'amount_too_precise', 'amount_too_precise'],
  ['0', 'amount_not_positive', 'amount_not_positive'],
  ['0.00', 'amount_not_positive', 'amount_not_positive'],
  ['-0', 'amount_not_positive', 'not a number'],
  ['-5', 'amount_not_positive', 'not a number'],
  ['-0.001', 'amount_not_positive', 'not a number'],
  ['-1e999999999', 'amount_not_positive', 'not a number'],
  ['+5', 'not a number', 'not a number'],
  ['1e2', 10000n, 'not a number'],
  ['1E+2', 10000n, 'not a number'],
  ['1e5', 10000000n, 'not a number'],
  ['10050e-2', 10050n, 'not a number'],
  ['1.5e0', 150n, 'not a number'],
  ['1e-2', 1n, 'not a number'],
  ['1e-3', 'amount_too_precise', 'not a number'],
  ['1e13', 'amount_too_large', 'not a number'],
  ['1e21', 'amount_too_large', 'not a number'],
  ['1e999999999', 'amount_too_large', 'not a number'],
  [`1e${'9'.repeat(400)}`, 'amount_too_large', 'not a number'],
  ['1e-999999999', 'amount_too_precise', 'not a number'],
  ['0e999999999', 'amount_not_positive', 'not a number'],
  ['', 'not a number', 'not a number'],
  ['.', 'not a number', 'not a number'],
  ['.5', 'not a number', 'not a number'],
  ['5.', 'not a number', 'not a number'],
  ['1.2.3', 'not a number', 'not a number'],
  ['1,000.00', 'not a number', 'not a number'],
  ['1_000', 'not a number', 'not a number'],
  [' 5', 'not a number', 'not a number'],
  ['5 ', 'not a number', 'not a number'],
  ['5\n', 'not a number', 'not a number'],
  ['0x10', 'not a number', 'not a number'],
  ['NaN', 'not a number', 'not a number'],
  ['Infinity', 'not a number', 'not a number'],
  ['٣', 'not a number', 'not a number'],
  ['５', 'not a number', 'not a number'],
  ['1٫5', 'not a number', 'not a number'],
  ['USD 5', 'not a number', 'not a number'],
]

describe('amount', () => {
  for (const [text, asNumber, asString] of AMOUNTS) {
    const name = text.length > 40 ? `${text.slice(0, 40)}…` : text
    it(`${JSON.stringify(name)} is ${asNumber} as a JSON number, ${asString} as a string`, () => {
      expect(minorOf(readJsonNumber, text)).to.equal(asNumber)
      expect(minorOf(readPlainNumber, text)).to.equal(asString)
    })
  }

  it('gets a refusal that explains what is wrong', () => {
    const refusal = (text: string) => {
      const money = moneyOf(readJsonNumber(text) ?? expect.fail(text), 'ETB')
      return money.ok ? expect.fail(text) : money.refusal.detail
    }
    expect(refusal('0')).to.equal('must be greater than 0')
    expect(refusal('0.001')).to.equal('must have at most 2 decimals')
    expect(refusal('1e21')).to.equal('must be at most 9999999999999.99')
  })

  it('reads an amount in linear time with any number of zeros', () => {
    const zeros = '0'.repeat(200_000)
    expect(minorOf(readPlainNumber, `${zeros}7.1${zeros}`)).to.equal(710n)
    expect(minorOf(readPlainNumber, `1${zeros}1`)).to.equal('amount_too_large')
    expect(minorOf(readPlainNumber, `0.${zeros}1`)).to.equal('amount_too_precise')
    expect(minorOf(readJsonNumber, `1${zeros}e-200000`)).to.equal(100n)
  })
})

describe('money', () => {
  const currency = fc.constantFrom(...(Object.keys(CURRENCIES) as Currency[]))
  const amountMinor = fc.bigInt({ min: 1n, max: AMOUNT_MINOR_MAX })

  // Promise 5
  it('money is equal after it was written as decimal text and read again, as a string and as a JSON number', () => {
    fc.assert(
      fc.property(currency, amountMinor, (currency, amountMinor) => {
        const money = { currency, amountMinor }
        for (const reader of [readPlainNumber, readJsonNumber]) {
          const amount = reader(formatMoney(money))
          expect(amount && moneyOf(amount, currency)).to.deep.equal({ ok: true, value: money })
        }
      }),
    )
  })

  it('reads the same money for every position of the point and the matching exponent', () => {
    fc.assert(
      fc.property(amountMinor, fc.integer({ min: -40, max: 40 }), (amountMinor, shift) => {
        const digits = amountMinor.toString()
        const source =
          shift < 0
            ? `0.${'0'.repeat(-shift)}${digits}e${digits.length - shift - 2}`
            : `${digits}${'0'.repeat(shift)}e-${shift + 2}`
        expect(minorOf(readJsonNumber, source)).to.equal(amountMinor)
      }),
    )
  })

  it('equals the result of exact arithmetic on its digits', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.stringMatching(/^[0-9]{1,4}$/),
        fc.integer({ min: -8, max: 8 }),
        (whole, fraction, e) => {
          // The value times 10^12 as an integer. The exponents above need no more digits.
          const scaled = BigInt(`${whole}${fraction}`) * 10n ** BigInt(12 + e - fraction.length)
          const exact = scaled % 10n ** 10n === 0n ? scaled / 10n ** 10n : undefined
          const expected =
            scaled === 0n
              ? 'amount_not_positive'
              : exact === undefined
                ? 'amount_too_precise'
                : exact > AMOUNT_MINOR_MAX
                  ? 'amount_too_large'
                  : exact
          expect(minorOf(readJsonNumber, `${whole}.${fraction}e${e}`)).to.equal(expected)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it('writes money with all decimals of its currency', () => {
    expect(formatMoney({ amountMinor: 10000n, currency: 'USD' })).to.equal('100.00')
    expect(formatMoney({ amountMinor: 7n, currency: 'ETB' })).to.equal('0.07')
  })

  it('is not formatted in a currency that has no known decimals', () => {
    for (const currency of ['XYZ', 'toString'] as unknown as Currency[])
      expect(() => formatMoney({ amountMinor: 10_050n, currency })).to.throw(RangeError, currency)
  })

  it('counts as the same amount as the same number of another currency, and as no other number', () => {
    const dollars = { amountMinor: 10_050n, currency: 'USD' } as const
    expect(isSameAmount(dollars, { amountMinor: 10_050n, currency: 'USD' })).to.equal(true)
    expect(isSameAmount(dollars, { amountMinor: 10_050n, currency: 'ETB' })).to.equal(true)
    expect(isSameAmount(dollars, { amountMinor: 10_051n, currency: 'USD' })).to.equal(false)
    expect(isSameAmount(dollars, { amountMinor: 1_005_000n, currency: 'USD' })).to.equal(false)
  })
})

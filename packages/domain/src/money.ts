import { CURRENCIES, type Currency } from './currency.ts'
import type { Decimal } from './decimal.ts'
import { accept, type Result, refuse } from './result.ts'

/** `amountMinor` counts the currency's smallest unit: 10050n USD is 100.50. */
export interface Money {
  readonly amountMinor: bigint
  readonly currency: Currency
}

/** 10^15 − 1 minor units: a double, and so every JSON parser, holds 15 digits exactly. */
export const AMOUNT_MINOR_MAX = 999_999_999_999_999n
const DIGITS_MAX = AMOUNT_MINOR_MAX.toString().length

export type AmountCode = 'amount_not_positive' | 'amount_too_precise' | 'amount_too_large'

/** Converts a decimal to exact minor units, or refuses it. It never rounds. */
export function moneyOf(amount: Decimal, currency: Currency): Result<Money, AmountCode> {
  const decimals: number = CURRENCIES[currency]
  const zeros = amount.exponent + decimals
  if (amount.negative || amount.digits === '') return refuse('amount_not_positive', 'must be greater than 0')
  if (zeros < 0) return refuse('amount_too_precise', `must have at most ${decimals} decimals`)
  if (amount.digits.length + zeros > DIGITS_MAX)
    return refuse('amount_too_large', `must be at most ${formatMoney({ amountMinor: AMOUNT_MINOR_MAX, currency })}`)
  return accept({ amountMinor: BigInt(amount.digits + '0'.repeat(zeros)), currency })
}

/**
 * Formats the amount as decimal text with all decimals of its currency: 10050n USD is `100.50`, also a JSON number.
 *
 * @throws RangeError for a currency that only a newer version knows
 */
export function formatMoney({ amountMinor, currency }: Money): string {
  if (!isKnownCurrency(currency)) throw new RangeError(`The decimals of ${currency} are not known`)
  const decimals: number = CURRENCIES[currency]
  const digits = amountMinor.toString().padStart(decimals + 1, '0')
  const point = digits.length - decimals
  return decimals === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
}

/** True if both amounts are the same number. Currencies may differ: 5 of a currency without decimals equals 5.00 USD. */
export function isSameAmount(one: Money, other: Money): boolean {
  return one.amountMinor * minorUnits(other.currency) === other.amountMinor * minorUnits(one.currency)
}

function minorUnits(currency: Currency): bigint {
  return 10n ** BigInt(CURRENCIES[currency])
}

/** False for the currency of a stored payment that only a newer version knows. */
export function isKnownCurrency(currency: string): currency is Currency {
  return Object.hasOwn(CURRENCIES, currency)
}

/** @throws RangeError for money that `moneyOf` cannot return */
export function assertMoney({ amountMinor, currency }: Money): void {
  if (amountMinor <= 0n || amountMinor > AMOUNT_MINOR_MAX || !isKnownCurrency(currency))
    throw new RangeError(`Not an amount to pay: ${amountMinor} ${currency}`)
}

const GROUPED = new Intl.NumberFormat('en')
const RATE = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 })

/** A decimal text with grouped digits, such as `1,234,567.50`. It stays text: no number holds every amount. */
export function groupDigits(decimal: string): string {
  const [, sign = '', whole = '', rest = ''] = /^(-?)(\d+)(.*)$/s.exec(decimal) ?? []
  if (whole === '') return decimal
  return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${rest}`
}

/** A count, such as `12,345`. */
export function countText(count: number): string {
  return GROUPED.format(count)
}

/** A rate a second: whole from 100 on, two digits below. */
export function rateText(rate: number): string {
  return rate >= 100 ? GROUPED.format(Math.round(rate)) : RATE.format(rate)
}

/** The count with its noun, such as `1 payment` and `2 payments`. */
export function counted(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** Every accepted currency with its decimals, the minor-unit exponent of ISO 4217. A new currency is a line here. */
export const CURRENCIES = { USD: 2, ETB: 2 } as const satisfies Record<string, number>

export type Currency = keyof typeof CURRENCIES

/** Every currency that is accepted, with its decimals: the minor-unit exponent of ISO 4217. A new one is a line here. */
export const CURRENCIES = { USD: 2, ETB: 2 } as const satisfies Record<string, number>

export type Currency = keyof typeof CURRENCIES

export interface FactText {
  readonly name: string
  readonly value: string
}

/** The facts of an entry as texts. Those without a value are left out. */
export function factTexts(facts: Readonly<Record<string, unknown>>): FactText[] {
  return Object.entries(facts)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => ({
      name: name.replaceAll('_', ' '),
      value: typeof value === 'string' ? value : JSON.stringify(value),
    }))
}

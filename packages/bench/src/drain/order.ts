/** What `orderedMessages()` have in their bodies. */
export interface Placed {
  readonly payment_id: string
  readonly place: number
}

/** Judges deliveries: a duplicate may come late, but no message before an earlier one of its key. */
export function createOrderCheck() {
  const nextPlaces = new Map<string, number>()
  let overtaken = 0
  return {
    /** Of a message without a place nothing is expected. */
    see({ payment_id: key, place }: Partial<Placed>): void {
      if (key === undefined || place === undefined) return
      const next = nextPlaces.get(key) ?? 0
      if (place > next) overtaken += 1
      nextPlaces.set(key, Math.max(next, place + 1))
    },
    /** How many came before an earlier one of their key. */
    get overtaken() {
      return overtaken
    },
    /** How many keys have come to their end. */
    complete: (perKey: number) => [...nextPlaces.values()].filter((next) => next === perKey).length,
  }
}

/** The body of a message of `orderedMessages`. */
export interface Placed {
  readonly payment_id: string
  readonly place: number
}

/** Checks the order of deliveries. A duplicate may come late, but no message before an earlier one of its key. */
export function createOrderCheck() {
  const nextPlaces = new Map<string, number>()
  let reordered = 0
  return {
    /** Takes the next delivery. A message without a place is not checked. */
    see({ payment_id: key, place }: Partial<Placed>): void {
      if (key === undefined || place === undefined) return
      const next = nextPlaces.get(key) ?? 0
      if (place > next) reordered += 1
      nextPlaces.set(key, Math.max(next, place + 1))
    },
    /** Number of messages that came before an earlier one of their key. */
    get reordered() {
      return reordered
    },
    /** Returns the number of keys whose last message has come. */
    complete: (perKey: number) => [...nextPlaces.values()].filter((next) => next === perKey).length,
  }
}

const PER_SECOND_MAX = 10
const ADDRESSES_MAX = 10_000

export type WrongKeys = ReturnType<typeof createWrongKeys>

/** Counts wrong keys by the address of their clients, for a second at a time. It counts for at most 10,000 addresses. */
export function createWrongKeys(now: () => number = () => performance.now()) {
  const counts = new Map<string, number>()
  let endsAt = Number.NEGATIVE_INFINITY

  return {
    /** Counts a wrong key. Returns true if the address has sent more than 10 within this second. */
    isTooMany(address: string): boolean {
      if (now() >= endsAt) {
        counts.clear()
        endsAt = now() + 1_000
      }
      const count = (counts.get(address) ?? 0) + 1
      if (count === 1 && counts.size >= ADDRESSES_MAX) return false
      counts.set(address, count)
      return count > PER_SECOND_MAX
    },
  }
}

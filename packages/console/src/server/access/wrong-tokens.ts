const PER_MINUTE_MAX = 10
const IN_ALL_MAX = 100
const MINUTE_MS = 60_000

export type WrongTokens = ReturnType<typeof createWrongTokens>

/**
 * Counts wrong login tokens for a minute at a time: 10 of an address, and 100 in all. So it remembers 100 addresses at most.
 *
 * A right token is not counted, and always gets in. Otherwise strangers could lock operators out: those
 * behind the same proxy by the first limit, and all by the second one. A guess gains nothing by that, because a token has 128
 * random bits or more.
 */
export function createWrongTokens(now: () => number = () => performance.now()) {
  const counts = new Map<string, number>()
  let inAll = 0
  let endsAt = Number.NEGATIVE_INFINITY

  return {
    /** Counts a wrong token. Returns the seconds until the next may be sent if there were too many, else undefined. */
    count(address: string): number | undefined {
      if (now() >= endsAt) {
        counts.clear()
        inAll = 0
        endsAt = now() + MINUTE_MS
      }
      const ofAddress = counts.get(address) ?? 0
      if (ofAddress >= PER_MINUTE_MAX || inAll >= IN_ALL_MAX) return Math.max(1, Math.ceil((endsAt - now()) / 1_000))
      counts.set(address, ofAddress + 1)
      inAll += 1
      return undefined
    },
  }
}

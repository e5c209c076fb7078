/** What a toxic judges by: a piece of a stream that is about to pass. Times are milliseconds of one clock. */
export interface Moment {
  now: number
  arrivedAt: number
  /** The piece's own, from 0 to 1. */
  chance: number
  /** What passed before it. */
  previous: { at: number; bytes: number }
  /** How many bytes have passed since the connection was made. */
  passedBytes: number
}

export interface Verdict {
  /** How long the piece has to wait yet; Infinity: until the toxic is lifted. */
  waitMs: number
  /** How many bytes of it may pass at once. */
  bytesMax: number
  /** After how many more bytes the connection is cut. */
  bytesLeft: number
  /** Whether it vanishes, without having to wait. */
  swallowed: boolean
}

/** One fault of a network, for one direction of a connection. */
export type Toxic = (moment: Moment) => Partial<Verdict>

export const swallow: Toxic = () => ({ swallowed: true })

export const hold: Toxic = () => ({ waitMs: Number.POSITIVE_INFINITY })

/** Each piece waits for itself, so that a long delay does not become a narrow link. */
export function delay(latencyMs: number, jitterMs = 0): Toxic {
  return ({ now, arrivedAt, chance }) => ({ waitMs: arrivedAt + latencyMs + jitterMs * chance - now })
}

const SLICES_PER_SECOND = 20

export function limit(bytesPerSecond: number): Toxic {
  const bytesMax = Math.ceil(bytesPerSecond / SLICES_PER_SECOND)
  return ({ now, previous }) => {
    // What passed before there was a limit does not count.
    const bytes = Math.min(previous.bytes, bytesMax)
    return { bytesMax, waitMs: previous.at + (bytes * 1_000) / bytesPerSecond - now }
  }
}

export function cutAfter(bytes: number): Toxic {
  return ({ passedBytes }) => ({ bytesLeft: Math.max(0, bytes - passedBytes) })
}

/** The worst that any of them says. */
export function judge(toxics: Iterable<Toxic>, moment: Moment): Verdict {
  const unlimited = Number.POSITIVE_INFINITY
  const worst: Verdict = { waitMs: 0, bytesMax: unlimited, bytesLeft: unlimited, swallowed: false }
  for (const toxic of toxics) {
    const verdict = toxic(moment)
    worst.waitMs = Math.max(worst.waitMs, verdict.waitMs ?? 0)
    worst.bytesMax = Math.min(worst.bytesMax, verdict.bytesMax ?? unlimited)
    worst.bytesLeft = Math.min(worst.bytesLeft, verdict.bytesLeft ?? unlimited)
    worst.swallowed ||= verdict.swallowed ?? false
  }
  return worst
}

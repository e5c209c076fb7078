/** A piece of a stream that is about to pass. Times are milliseconds of one clock. */
export interface Moment {
  now: number
  arrivedAt: number
  /** A random number from 0 to 1, drawn once for the piece. */
  chance: number
  /** The piece that passed before it. */
  previous: { at: number; bytes: number }
  /** Bytes that have passed since the connection was made. */
  passedBytes: number
}

export interface Verdict {
  /** Remaining delay of the piece. Infinity lasts until the toxic is removed. */
  waitMs: number
  /** Bytes of it that may pass at once. */
  bytesMax: number
  /** Bytes after which the connection is cut. */
  bytesLeft: number
  /** True if the piece is dropped, without delay. */
  swallowed: boolean
}

/** A network fault in one direction of a connection. */
export type Toxic = (moment: Moment) => Partial<Verdict>

export const swallow: Toxic = () => ({ swallowed: true })

export const hold: Toxic = () => ({ waitMs: Number.POSITIVE_INFINITY })

/** Delays each piece from its own arrival, so that a long delay does not limit the throughput. */
export function delay(latencyMs: number, jitterMs = 0): Toxic {
  return ({ now, arrivedAt, chance }) => ({ waitMs: arrivedAt + latencyMs + jitterMs * chance - now })
}

const SLICES_PER_SECOND = 20

export function limit(bytesPerSecond: number): Toxic {
  const bytesMax = Math.ceil(bytesPerSecond / SLICES_PER_SECOND)
  return ({ now, previous }) => {
    // Bytes that passed before the limit was set do not count.
    const bytes = Math.min(previous.bytes, bytesMax)
    return { bytesMax, waitMs: previous.at + (bytes * 1_000) / bytesPerSecond - now }
  }
}

export function cutAfter(bytes: number): Toxic {
  return ({ passedBytes }) => ({ bytesLeft: Math.max(0, bytes - passedBytes) })
}

/** Combines the verdicts: of each value the worst one. */
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

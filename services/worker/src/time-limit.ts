/** A point in time, by which something has to end. */
export interface TimeLimit {
  /** Returns whether the point in time has passed. Never late: it may only answer true too early. */
  passed(): boolean
}

/** Returns milliseconds since any origin. */
export type Clock = () => number

const CLOCKS: readonly Clock[] = [() => performance.now(), () => Date.now()]

/**
 * A limit that ends `limitMs` from now, by the clock that reaches it first, because each clock may be late. The monotonic
 * clock stops while its machine is suspended, and the wall clock may be set back. A wall clock that is set forward only
 * ends the limit too early.
 */
export function createTimeLimit(limitMs: number, clocks = CLOCKS): TimeLimit {
  const ends = clocks.map((now) => ({ now, endsAt: now() + limitMs }))
  return { passed: () => ends.some(({ now, endsAt }) => now() >= endsAt) }
}

/** Something that has to be over at some time. */
export interface TimeLimit {
  /** Never late. */
  passed(): boolean
}

/** Each tells milliseconds since some moment of its own. */
export type Clock = () => number

const CLOCKS: readonly Clock[] = [() => performance.now(), () => Date.now()]

/**
 * From now on. It has passed as soon as one of the clocks says so: the monotonic one stands still while its machine is
 * suspended, and the wall clock may be set back. One that is set forward only ends it too early.
 */
export function createTimeLimit(limitMs: number, clocks = CLOCKS): TimeLimit {
  const ends = clocks.map((now) => ({ now, endsAt: now() + limitMs }))
  return { passed: () => ends.some(({ now, endsAt }) => now() >= endsAt) }
}

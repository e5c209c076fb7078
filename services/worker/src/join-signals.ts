/**
 * Joins `own` with other signals: the joined signal aborts with the first of the two. It is created once per other signal,
 * because a signal that follows others is expensive to create and to collect.
 */
export function createSignalJoin(own: AbortSignal): (other: AbortSignal) => AbortSignal {
  const joined = new WeakMap<AbortSignal, AbortSignal>()
  return (other) => {
    const signal = joined.get(other) ?? AbortSignal.any([own, other])
    joined.set(other, signal)
    return signal
  }
}

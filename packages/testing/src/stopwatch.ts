const TICK_MS = 20

/**
 * Counts the milliseconds in which this process runs. A stall of the machine does not count, since late timer ticks are
 * not repeated. The result is never more than the real time, so use it for upper limits only.
 */
export function startStopwatch(): { stop(): number } {
  let ticks = 0
  const timer = setInterval(() => ticks++, TICK_MS)
  return {
    stop() {
      clearInterval(timer)
      return ticks * TICK_MS
    },
  }
}

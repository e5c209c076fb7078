const TICK_MS = 20

/**
 * Starts to count the milliseconds in which this process runs. A stalled machine does not count: a timer that comes late
 * does not make up for it. So the result is at most the time that has passed, and fits upper limits only.
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

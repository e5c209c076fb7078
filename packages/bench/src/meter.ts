import { startedCpuMs } from './resources.ts'

/** How fast something was done, and what that cost. */
export type Pace = {
  /** Items per second. */
  readonly rate: number
  /** CPU time of all processes but this one, which makes the load, for each item, in microseconds. */
  readonly cpuUs: number
}

/** Begins to measure. @returns what ends it, when it is told how many items were done */
export function startMeter(): (count: number) => Pace {
  const startedAt = performance.now()
  const cpuMs = startedCpuMs()
  return (count) => {
    const durationMs = performance.now() - startedAt
    return { rate: (count / durationMs) * 1_000, cpuUs: ((startedCpuMs() - cpuMs) / count) * 1_000 }
  }
}

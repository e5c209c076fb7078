import { readFileSync } from 'node:fs'
import { everyProcess } from '@cashflow/dev-stack'

// USER_HZ is 100 on every architecture that Node runs on.
const TICK_MS = 10

/** CPU time in milliseconds. */
interface Times {
  readonly own: number
  /** CPU time of ended children that the process has waited for, including their own ended children. */
  readonly waitedFor: number
}

/** Returns the CPU time of a process and of all its descendants, in milliseconds, such as those of a server. */
export function treeCpuMs(root: number): number {
  return timesOf(root).own + startedCpuMs(root)
}

/**
 * Returns the CPU time of all descendants of a process, without its own, in milliseconds. For this process, that is
 * every process of a benchmark except the load.
 *
 * A process that ends leaves its time with the parent that waits for it. The parent is read first. If a child has gone
 * afterwards, its time is in neither reading, and all are read again.
 */
export function startedCpuMs(root = process.pid): number {
  for (;;) {
    const children = Map.groupBy(everyProcess(), ({ parent }) => parent)
    const started = (pid: number, { waitedFor }: Times): number =>
      (children.get(pid) ?? []).reduce((sum, child) => {
        const times = timesOf(child.pid)
        return sum + times.own + started(child.pid, times)
      }, waitedFor)
    const rootTimes = timesOf(root)
    try {
      return started(root, rootTimes)
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
}

/** Reads the times of a process, also of a zombie. */
function timesOf(pid: number): Times {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The fields after the name, which may hold any character. State is field 3. Fields 14 to 17 are utime, stime, cutime
  // and cstime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [utime = Number.NaN, stime = Number.NaN, cutime = Number.NaN, cstime = Number.NaN] = fields
    .slice(11, 15)
    .map((field) => Number(field) * TICK_MS)
  return { own: utime + stime, waitedFor: cutime + cstime }
}

/** Returns the resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1_024
}

/** A rate, and the CPU time that it cost. */
export type Pace = {
  /** Items per second. */
  readonly rate: number
  /** CPU time per item of all processes except this one, which makes the load, in microseconds. */
  readonly cpuUs: number
}

/** Starts a measurement. @returns a function that ends it, which takes the number of items that were done */
export function startMeter(): (count: number) => Pace {
  const startedAt = performance.now()
  const cpuMs = startedCpuMs()
  return (count) => {
    const durationMs = performance.now() - startedAt
    return { rate: (count / durationMs) * 1_000, cpuUs: ((startedCpuMs() - cpuMs) / count) * 1_000 }
  }
}

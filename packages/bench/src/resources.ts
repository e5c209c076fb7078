import { readFileSync } from 'node:fs'
import { everyProcess } from '@cashflow/dev-stack'

// USER_HZ, which Linux gives to programs as 100 on every architecture that Node runs on.
const TICK_MS = 10

/** CPU time in milliseconds. */
interface Times {
  readonly own: number
  /** That of ended children that the process has waited for, and of those that they had waited for. */
  readonly waitedFor: number
}

/** CPU time that a process and those of its children that it has waited for have used, in milliseconds. Linux only. */
export function cpuMs(pid: number): number {
  const { own, waitedFor } = timesOf(pid)
  return own + waitedFor
}

/** The same of a process and all that descend from it: a server's. */
export function treeCpuMs(root: number): number {
  return timesOf(root).own + startedCpuMs(root)
}

/**
 * CPU time of all that a process has started, and of all that those have, without its own. Of this process that is
 * everything a benchmark runs but its load.
 *
 * A process that ends leaves its time with the parent that waits for it. The parent is read first: when the child is
 * gone afterwards, its time is in neither of the two, and all are read again.
 */
export function startedCpuMs(root = process.pid): number {
  for (;;) {
    const children = Map.groupBy(everyProcess(), ({ parent }) => parent)
    const started = (pid: number, { waitedFor }: Times): number =>
      (children.get(pid) ?? []).reduce((sum, child) => {
        const times = timesOf(child.pid)
        return sum + times.own + started(child.pid, times)
      }, waitedFor)
    const read = unlessGone(() => started(root, timesOf(root)))
    if (read !== undefined) return read
    timesOf(root) // Throws if it is the one that is gone.
  }
}

/** A zombie has them too. */
function timesOf(pid: number): Times {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // Behind the name, which may hold anything: state is field 3, and fields 14 to 17 are utime, stime, cutime, cstime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [utime = Number.NaN, stime = Number.NaN, cutime = Number.NaN, cstime = Number.NaN] = fields
    .slice(11, 15)
    .map((field) => Number(field) * TICK_MS)
  return { own: utime + stime, waitedFor: cutime + cstime }
}

/** What of a process is in memory. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1_024
}

function unlessGone<Value>(look: () => Value): Value | undefined {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

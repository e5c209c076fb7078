import { readFileSync } from 'node:fs'
import { descendantsOf } from '@cashflow/dev-stack'

// USER_HZ, which Linux gives to programs as 100 on every architecture that Node runs on.
const TICK_MS = 10

/** CPU time that a process and those of its children that it has waited for have used, in milliseconds. Linux only. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // Behind the name, which may hold anything: state is field 3, and fields 14 to 17 are utime, stime, cutime, cstime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((total, field) => total + Number(field), 0) * TICK_MS
}

/** The same of a process and all that descend from it: a server's. */
export function treeCpuMs(root: number): number {
  return descendantsOf(root).reduce((total, { pid }) => total + (unlessGone(() => cpuMs(pid)) ?? 0), cpuMs(root))
}

/** What of a process is in memory. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1_024
}

/** It may have ended meanwhile: its time is then that of whoever has waited for it. */
function unlessGone<Value>(look: () => Value): Value | undefined {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

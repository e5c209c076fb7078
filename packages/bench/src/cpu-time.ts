import { readFileSync } from 'node:fs'

// USER_HZ, which Linux gives to programs as 100 on every architecture that Node runs on.
const TICK_MS = 10

/** CPU time that a process and those of its children that it has waited for have used, in milliseconds. Linux only. */
export function cpuMs(pid: number): number {
  // Behind the name, which may hold anything: state is field 3, and fields 14 to 17 are utime, stime, cutime, cstime.
  const fields = fieldsOf(pid)
  const ticks = fields.slice(11, 15).reduce((total, field) => total + Number(field), 0)
  return ticks * TICK_MS
}

/** The same of a process and all that descend from it and run: a server's. */
export function treeCpuMs(pid: number): number {
  return cpuMs(pid) + childrenOf(pid).reduce((total, child) => total + treeCpuMs(child), 0)
}

/** What of a process is in memory. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1_024
}

function fieldsOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

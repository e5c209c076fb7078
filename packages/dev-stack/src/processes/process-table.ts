import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { pause } from '@cashflow/async'

/** A process that cannot be confused with a later one with the same pid. */
export interface ProcessIdentity {
  pid: number
  /** Opaque. */
  startedAt: string
}

const GONE_PATIENCE_MS = 3_000

/** Returns undefined if there is no such process, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? startedAtFromProc(pid) : startedAtFromPs(pid)
  return startedAt === undefined ? undefined : { pid, startedAt }
}

export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  return identify(pid)?.startedAt === startedAt
}

/** Sends a signal. A process that has ended, or a group without processes (a negative pid), is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** All processes of the machine, zombies included. Empty on systems other than Linux. */
export function everyProcess(): { pid: number; parent: number }[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const fields = statFields(Number(name))
      return fields ? [{ pid: Number(name), parent: Number(fields[1]) }] : []
    })
}

/** The children of a process, and their children, at any depth. Empty on systems other than Linux. */
export function descendantsOf(pid: number): ProcessIdentity[] {
  const children = Map.groupBy(everyProcess(), ({ parent }) => parent)
  const found: ProcessIdentity[] = []
  const visit = (parent: number) => {
    for (const child of children.get(parent) ?? []) {
      const identity = identify(child.pid)
      if (identity) found.push(identity)
      visit(child.pid)
    }
  }
  visit(pid)
  return found
}

/** True for a process that a signal has stopped, such as SIGSTOP. */
export function isStopped({ pid }: ProcessIdentity): boolean {
  return statFields(pid)?.[0] === 'T'
}

/** Sends SIGKILL to a process and to all its descendants, in all their groups and sessions. */
export function killTree(pid: number): void {
  sendSignal(pid, 'SIGSTOP') // A stopped process starts no more children.
  for (const { pid: victim } of [...descendantsOf(pid), { pid }]) sendSignal(victim, 'SIGKILL')
}

/** Waits 3 s for processes to end by themselves, then kills those that still run. */
export async function untilGone(processes: ProcessIdentity[]): Promise<void> {
  const deadline = Date.now() + GONE_PATIENCE_MS
  while (processes.some(isRunning) && Date.now() < deadline) await pause(10)
  for (const left of processes.filter(isRunning)) sendSignal(left.pid, 'SIGKILL')
}

/** Field 22 of proc_pid_stat(5), in clock ticks since boot. The boot's id keeps it unique across reboots. */
function startedAtFromProc(pid: number): string | undefined {
  const fields = statFields(pid)
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return undefined
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
  return `${bootId}:${fields[19]}`
}

/** The fields of proc_pid_stat(5) from the third one on, which is the state. Undefined if the process has ended. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Field 2 is the command in parentheses, which may itself contain spaces and parentheses.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function startedAtFromPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '')
  } catch {
    return undefined
  }
}

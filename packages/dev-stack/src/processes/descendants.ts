import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { identify, isRunning, type ProcessIdentity } from './identity.ts'

const PATIENCE_MS = 3_000

/** All that a process started, and what that started. Empty where the system does not tell (it does on Linux). */
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

/** SIGKILL to a process and to all that it started, whatever groups and sessions they are in. */
export function killTree(pid: number): void {
  kill(pid, 'SIGSTOP') // It starts no more processes.
  for (const { pid: victim } of [...descendantsOf(pid), { pid }]) kill(victim, 'SIGKILL')
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Waits for processes to end by themselves, and ends those that do not. */
export async function untilGone(processes: ProcessIdentity[]): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (processes.some(isRunning) && Date.now() < deadline) await sleep(10)
  for (const left of processes.filter(isRunning)) kill(left.pid, 'SIGKILL')
}

/** All processes of the machine, zombies too. Empty where the system does not tell (it does on Linux). */
export function everyProcess(): { pid: number; parent: number }[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        return [{ pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }]
      } catch {
        return [] // It ended while we were reading.
      }
    })
}

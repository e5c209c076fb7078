import { pause } from '@cashflow/async'
import { descendantsOf, isRunning, isStopped, type ProcessIdentity, sendSignal } from '../processes/process-table.ts'

/** Time for a system call that no signal interrupts, such as a write to a slow disk. */
const STOP_PATIENCE_MS = 2_000

/**
 * Stops a process and all its descendants, in all their groups and sessions. They may start children until they are stopped. So it
 * looks again until all are stopped and none is new.
 *
 * @param onStop called with each process before it gets SIGSTOP
 */
export async function freezeTree(root: ProcessIdentity, onStop: (process: ProcessIdentity) => void): Promise<void> {
  const deadline = performance.now() + STOP_PATIENCE_MS
  const frozen = new Map<number, ProcessIdentity>()
  for (;;) {
    const found = [root, ...descendantsOf(root.pid)].filter(({ pid }) => !frozen.has(pid))
    for (const process of found) {
      frozen.set(process.pid, process)
      onStop(process)
      signalIfRunning(process, 'SIGSTOP')
    }
    const moving = [...frozen.values()].some((process) => isRunning(process) && !isStopped(process))
    if (found.length === 0 && (!moving || performance.now() > deadline)) return
    await pause(5)
  }
}

/** Continues these processes and all their descendants, also those that are new. A pid that was reused gets no signal. */
export function thawTree(frozen: readonly ProcessIdentity[]): void {
  const running = frozen.filter(isRunning)
  const children = running.flatMap(({ pid }) => descendantsOf(pid))
  const all = new Map([...running, ...children].map((process) => [process.pid, process]))
  for (const process of all.values()) signalIfRunning(process, 'SIGCONT')
}

function signalIfRunning(process: ProcessIdentity, signal: NodeJS.Signals): void {
  if (isRunning(process)) sendSignal(process.pid, signal)
}

import { redact } from '@cashflow/runtime'
import type { LogPrinter } from '../log-printer.ts'
import { describeExit } from '../processes/daemon.ts'
import { type KeptRunning, keepRunning, type Running } from '../processes/keep-running.ts'
import type { Register } from '../processes/register.ts'

const RESTART_AFTER_MS = 1_000

export type Supervisor = {
  /** Starts a process of the stack, and a second after each death again. */
  supervise<Process extends Running>(
    label: string,
    start: (signal: AbortSignal) => Promise<Process>,
    signal: AbortSignal,
  ): Promise<KeptRunning<Process>>
  /** To be told of every process at once. */
  onSpawn(role: string): (pid: number) => void
}

export function createSupervisor(printer: LogPrinter, register: Register, onChange: () => void): Supervisor {
  return {
    onSpawn: (role) => (pid) => register.add(role, pid),
    supervise: (label, start, signal) =>
      keepRunning({
        start,
        signal,
        restartAfterMs: RESTART_AFTER_MS,
        onDied(exit) {
          printer.log('error', `${label} died; starting it again in a second`, { exit: describeExit(exit) })
          onChange()
        },
        onRestartFailed(error) {
          printer.log('error', `${label} could not be started again; trying once more`, { error: redact(error) })
        },
        onRestarted({ pid }) {
          printer.log('warn', `${label} is back`, { pid })
          onChange()
        },
      }),
  }
}

import type { LogPrinter } from '../log-printer.ts'
import type { DaemonCommand } from '../processes/daemon.ts'
import { keepRunning, type Running } from '../processes/keep-running.ts'
import type { Register } from '../processes/register.ts'
import type { StackSettings } from '../settings.ts'

export type ServiceName = 'api' | 'relay' | 'worker' | 'webhooks'

export interface StackOptions {
  /** Folder for the data of our servers and for the files that describe the running stack. */
  stateDir: string
  settings: StackSettings
  /** Preferred ports of our own servers. */
  serverPorts: { postgres: number; rabbitmq: number; management: number }
  counts: Readonly<Record<ServiceName, number>>
  commands: Readonly<Record<ServiceName | 'migrate', Pick<DaemonCommand, 'file' | 'args'>>>
  env: NodeJS.ProcessEnv
  cwd: string
  fresh: boolean
  /** Deletes `stateDir` and all data at the end. Default: false. */
  temporary?: boolean
  printer: LogPrinter
  say: (line: string) => void
  /** Ends the attempt to start. */
  signal: AbortSignal
}

/** The arguments of everything that starts a part of the stack. */
export type StackContext = StackOptions & ReturnType<typeof createSupervisor>

const RESTART_AFTER_MS = 1_000

/** Keeps the stack's processes running, and registers them. */
export function createSupervisor(printer: LogPrinter, register: Register, onChange: () => void) {
  return {
    onSpawn: (pid: number, role: string) => register.add(role, pid),
    /** Starts a process, and restarts it one second after each death. */
    supervise: (label: string, start: (signal: AbortSignal) => Promise<Running>, signal: AbortSignal) =>
      keepRunning({ label, start, signal, restartAfterMs: RESTART_AFTER_MS, log: printer.log, onChange }),
  }
}

/**
 * Starts the parts at the same time. When one fails or the signal aborts, the signal of the others aborts. Rejects with
 * the first error only when no part is still starting and all started ones are stopped.
 */
export async function startTogether<Parts extends { stop(): Promise<void> }[]>(
  starts: { [Index in keyof Parts]: (signal: AbortSignal) => Promise<Parts[Index]> },
  signal: AbortSignal,
): Promise<Parts> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const starting = starts.map((start) => start(either))
  for (const part of starting) part.catch((error) => failed.abort(error))
  const results = await Promise.allSettled(starting)
  if (!either.aborted) return (await Promise.all(starting)) as Parts
  await Promise.all(results.map((result) => result.status === 'fulfilled' && result.value.stop()))
  throw either.reason
}

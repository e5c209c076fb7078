import { pause } from '@cashflow/async'
import { redact } from '@cashflow/runtime'
import type { LogPrinter } from '../log-printer.ts'
import { describeExit, type Exit } from './daemon.ts'

export interface Running {
  pid: number
  exited: Promise<Exit>
  stop(): Promise<unknown>
}

export type KeptRunning = Awaited<ReturnType<typeof keepRunning>>

interface KeepOptions {
  /** Names the process in the log. */
  label: string
  /** Resolves when the process works. Rejects, and leaves no process, when it dies before that or the signal aborts. */
  start(signal: AbortSignal): Promise<Running>
  /** Ends the first attempt to start. */
  signal: AbortSignal
  restartAfterMs: number
  log: LogPrinter['log']
  /** Called after each death and each restart. */
  onChange(): void
}

/** Starts a process, and restarts it after each death. Rejects only if the first start fails. */
export async function keepRunning(options: KeepOptions) {
  const { label, start, signal, restartAfterMs, log, onChange } = options
  const stopping = new AbortController()
  let current: Running | undefined = await start(signal)
  const loop = keep()

  async function keep(): Promise<void> {
    for (;;) {
      if (current) {
        const exit = await current.exited
        current = undefined
        if (stopping.signal.aborted) return
        log('error', `${label} died, and is restarted`, { exit: describeExit(exit) })
        onChange()
      }
      await pause(restartAfterMs, stopping.signal)
      if (stopping.signal.aborted) return
      try {
        const restarted = await start(stopping.signal)
        // `stop()` was called during the start, and does not know this process.
        if (stopping.signal.aborted) return void (await restarted.stop())
        current = restarted
        log('warn', `${label} runs again`, { pid: restarted.pid })
        onChange()
      } catch (error) {
        if (stopping.signal.aborted) return
        log('error', `${label} could not be restarted; trying again`, { error: redact(error) })
      }
    }
  }

  return {
    /** Undefined between a death and the next start. */
    pid: () => current?.pid,
    async stop() {
      stopping.abort()
      await current?.stop()
      await loop
    },
  }
}

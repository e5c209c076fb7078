import { pause } from '@cashflow/async'
import type { Exit } from './daemon.ts'

export interface Running {
  pid: number
  exited: Promise<Exit>
  stop(): Promise<unknown>
}

export interface KeptRunning {
  /** Undefined between a death and the next start. */
  pid(): number | undefined
  stop(): Promise<void>
}

interface KeepOptions {
  /** Resolves when the process works. Rejects, and leaves no process, when it dies before that or the signal aborts. */
  start(signal: AbortSignal): Promise<Running>
  /** Ends the first attempt to start. */
  signal: AbortSignal
  restartAfterMs: number
  onDied(exit: Exit): void
  onRestartFailed(error: unknown): void
  onRestarted(process: Running): void
}

/** Starts a process, and restarts it after each death. Rejects only if the first start fails. */
export async function keepRunning(options: KeepOptions): Promise<KeptRunning> {
  const { start, signal, restartAfterMs, onDied, onRestartFailed, onRestarted } = options
  const stopping = new AbortController()
  let current: Running | undefined = await start(signal)
  const loop = keep()

  async function keep(): Promise<void> {
    for (;;) {
      if (current) {
        const exit = await current.exited
        current = undefined
        if (stopping.signal.aborted) return
        onDied(exit)
      }
      await pause(restartAfterMs, stopping.signal)
      if (stopping.signal.aborted) return
      try {
        const restarted = await start(stopping.signal)
        // `stop()` was called during the start, and does not know this process.
        if (stopping.signal.aborted) return void (await restarted.stop())
        current = restarted
        onRestarted(restarted)
      } catch (error) {
        if (stopping.signal.aborted) return
        onRestartFailed(error)
      }
    }
  }

  return {
    pid: () => current?.pid,
    async stop() {
      stopping.abort()
      await current?.stop()
      await loop
    },
  }
}

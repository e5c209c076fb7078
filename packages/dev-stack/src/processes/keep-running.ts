import { setTimeout as sleep } from 'node:timers/promises'
import type { Exit } from './daemon.ts'

export type Running = { pid: number; exited: Promise<Exit>; stop(): Promise<unknown> }

export type KeptRunning<Process extends Running> = {
  /** Undefined between a death and the next start. */
  current(): Process | undefined
  stop(): Promise<void>
}

export type KeepOptions<Process extends Running> = {
  /** Resolves once the process works; rejects, leaving nothing behind, when it dies before or the signal aborts. */
  start(signal: AbortSignal): Promise<Process>
  /** Gives up the first start. */
  signal: AbortSignal
  restartAfterMs: number
  onDied(exit: Exit): void
  onRestartFailed(error: unknown): void
  onRestarted(process: Process): void
}

/** Starts a process, and again whenever it dies. Only the first start can fail. */
export async function keepRunning<Process extends Running>(
  options: KeepOptions<Process>,
): Promise<KeptRunning<Process>> {
  const { start, signal, restartAfterMs, onDied, onRestartFailed, onRestarted } = options
  const stopping = new AbortController()
  let current: Process | undefined = await start(signal)
  const loop = keep(current)

  async function keep(first: Process): Promise<void> {
    for (let process: Process | undefined = first; process; process = await restart()) {
      const exit = await process.exited
      current = undefined
      if (stopping.signal.aborted) return
      onDied(exit)
    }
  }

  async function restart(): Promise<Process | undefined> {
    while (!stopping.signal.aborted) {
      try {
        await sleep(restartAfterMs, undefined, { signal: stopping.signal })
        const restarted = await start(stopping.signal)
        // Asked to stop while it became ready: nobody else knows of it yet.
        if (stopping.signal.aborted) await restarted.stop()
        else {
          current = restarted
          onRestarted(restarted)
          return restarted
        }
      } catch (error) {
        if (!stopping.signal.aborted) onRestartFailed(error)
      }
    }
    return undefined
  }

  return {
    current: () => current,
    async stop() {
      stopping.abort()
      await current?.stop()
      await loop
    },
  }
}

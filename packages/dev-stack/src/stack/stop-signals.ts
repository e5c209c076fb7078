import type { EventEmitter } from 'node:events'

const SAME_KEY_PRESS_MS = 1_000

interface StopHandlers {
  /** Called at the first signal. */
  stop(signal: NodeJS.Signals): void
  /** Called at another signal, over a second later: the user does not want to wait. */
  kill(): void
}

/** Counts signals within a second as one: npm forwards Ctrl-C, and the terminal sends it too. */
export function onStopSignals({ stop, kill }: StopHandlers, source: EventEmitter = process, now = Date.now): void {
  let firstAt: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    source.on(signal, () => {
      if (firstAt === undefined) {
        firstAt = now()
        stop(signal)
      } else if (now() - firstAt > SAME_KEY_PRESS_MS) kill()
    })
  }
}

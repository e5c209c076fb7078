import type { EventEmitter } from 'node:events'

const SAME_KEY_PRESS_MS = 1_000

export type StopHandlers = {
  /** The first signal. */
  stop(signal: NodeJS.Signals): void
  /** Another one, later: somebody does not want to wait. */
  kill(): void
}

/** npm forwards Ctrl-C, which the terminal sends as well: signals within a second are one key press. */
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

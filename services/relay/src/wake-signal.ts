import { pause } from '@cashflow/async'

/** Ends waits, one at a time. A call of `wake` while no loop waits is remembered, once. */
export interface WakeSignal {
  /** Ends the oldest wait, or the next one if there is none. */
  wake(): void
  /** Resolves when woken, after `atMostMs` milliseconds, or when the signal aborts. */
  wait(options: { atMostMs: number; signal: AbortSignal }): Promise<void>
}

export function createWakeSignal(): WakeSignal {
  let pending = false
  const waiting = new Set<() => void>()
  return {
    wake() {
      const [oldest] = waiting
      if (oldest) {
        waiting.delete(oldest)
        oldest()
      } else pending = true
    },
    async wait({ atMostMs, signal }) {
      if (pending) {
        pending = false
        return
      }
      const ended = new AbortController()
      await new Promise<void>((resolve) => {
        waiting.add(resolve)
        void pause(atMostMs, AbortSignal.any([signal, ended.signal])).then(resolve)
        ended.signal.addEventListener('abort', () => waiting.delete(resolve), { once: true })
      })
      ended.abort()
    },
  }
}

import { setTimeout as sleep } from 'node:timers/promises'

export interface WakeSignal {
  /** Ends the wait that is the oldest, or the next one if nobody is waiting. */
  wake(): void
  /** Resolves when woken, after `atMostMs`, or when the signal aborts. */
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
      const woken = new Promise<void>((resolve) => {
        waiting.add(resolve)
        void sleep(atMostMs, undefined, { signal: AbortSignal.any([signal, ended.signal]) }).then(resolve, resolve)
        ended.signal.addEventListener('abort', () => waiting.delete(resolve), { once: true })
      })
      await woken
      ended.abort()
    },
  }
}

import { pause } from './wait.ts'

export type WakeSignal = ReturnType<typeof createWakeSignal>

/** Ends waits, one at a time. A call of `wake` while no loop waits is remembered, once. */
export function createWakeSignal() {
  let pending = false
  const waiting = new Set<AbortController>()
  return {
    /** Ends the oldest wait, or the next one if there is none. */
    wake(): void {
      const [oldest] = waiting
      if (oldest) {
        waiting.delete(oldest)
        oldest.abort()
      } else pending = true
    },
    /** Resolves when woken, after `atMostMs` milliseconds, or when the signal aborts. */
    async wait({ atMostMs, signal }: { atMostMs: number; signal: AbortSignal }): Promise<void> {
      if (pending) {
        pending = false
        return
      }
      const woken = new AbortController()
      waiting.add(woken)
      await pause(atMostMs, AbortSignal.any([signal, woken.signal]))
      waiting.delete(woken)
    },
  }
}

import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts. Never rejects: a loop checks the signal itself. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => {}) // Only an abort rejects.
}

/** Resolves with the reason of the first of `signals` that aborts. Leaves no listener behind. */
export function aborted(...signals: AbortSignal[]): Promise<unknown> {
  return new Promise((resolve) => {
    const settle = () => {
      const first = signals.find((signal) => signal.aborted)
      if (!first) return
      for (const signal of signals) signal.removeEventListener('abort', settle)
      resolve(first.reason)
    }
    for (const signal of signals) signal.addEventListener('abort', settle)
    settle()
  })
}

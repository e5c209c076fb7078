/** A value that comes and goes, and a place to wait for it. */
export interface Latch<Value> {
  readonly value: Value | undefined
  open(value: Value): void
  shut(): void
  /** Resolves while the gate is open; rejects with the signal's reason when it aborts, or when the gate is over. */
  wait(signal?: AbortSignal): Promise<Value>
}

/** @param over aborted when the gate will never open again */
export function createLatch<Value>(over: AbortSignal): Latch<Value> {
  let current: Value | undefined
  const waiting = new Set<(value: Value) => void>()
  return {
    get value() {
      return current
    },
    open(value) {
      current = value
      for (const resolve of waiting) resolve(value)
    },
    shut() {
      current = undefined
    },
    async wait(signal) {
      const givenUp = signal ? AbortSignal.any([over, signal]) : over
      givenUp.throwIfAborted()
      if (current !== undefined) return current
      const { promise, resolve, reject } = Promise.withResolvers<Value>()
      const giveUp = () => reject(givenUp.reason)
      waiting.add(resolve)
      givenUp.addEventListener('abort', giveUp)
      try {
        return await promise
      } finally {
        waiting.delete(resolve)
        givenUp.removeEventListener('abort', giveUp)
      }
    },
  }
}

/** Resolves with the reason of the first of them that is aborted, and leaves no listener behind. */
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

/**
 * @throws once `deadlineMs` have passed without an answer, or with the signal's reason when it aborts. The work is left
 * to itself, and its late failure goes nowhere.
 */
export async function within<Result>(
  work: Promise<Result>,
  { deadlineMs, what, signal }: { deadlineMs: number; what: string; signal?: AbortSignal },
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${deadlineMs} ms`)), deadlineMs)
  const giveUp = () => reject(signal?.reason)
  if (signal?.aborted) giveUp()
  signal?.addEventListener('abort', giveUp)
  work.then(resolve, reject)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}

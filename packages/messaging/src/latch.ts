/** A value that is there at times, and a way to wait until it is. */
export interface Latch<Value> {
  readonly value: Value | undefined
  open(value: Value): void
  shut(): void
  /** Resolves with the value as soon as there is one. Rejects with the reason of `signal`, or of the latch's own end. */
  wait(signal?: AbortSignal): Promise<Value>
}

/** @param ended aborted when the latch will never open again */
export function createLatch<Value>(ended: AbortSignal): Latch<Value> {
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
      const givenUp = signal ? AbortSignal.any([ended, signal]) : ended
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

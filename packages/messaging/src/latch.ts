import { within } from '@cashflow/async'

export type Latch<Value> = ReturnType<typeof createLatch<Value>>

/**
 * Creates a place for a value that is there at times, and a way to wait until it is.
 *
 * @param ended aborted when the latch will never open again
 */
export function createLatch<Value>(ended: AbortSignal) {
  let current: Value | undefined
  const waiting = new Set<(value: Value) => void>()
  return {
    get value(): Value | undefined {
      return current
    },
    open(value: Value): void {
      current = value
      for (const resolve of waiting) resolve(value)
    },
    shut(): void {
      current = undefined
    },
    /** Resolves with the value as soon as there is one. Rejects with the reason of `signal`, or of the latch's own end. */
    async wait(signal?: AbortSignal): Promise<Value> {
      const givenUp = signal ? AbortSignal.any([ended, signal]) : ended
      givenUp.throwIfAborted()
      if (current !== undefined) return current
      const { promise, resolve } = Promise.withResolvers<Value>()
      waiting.add(resolve)
      return await within(promise, { signal: givenUp }).finally(() => waiting.delete(resolve))
    },
  }
}

import { createLimiter, LimitError, type Limiter } from '@cashflow/async'

export interface MerchantSlotsOptions {
  /** Number of slots. */
  runningMax: number
  /** Number of requests that may wait. A tenth of them may be of one merchant. */
  waitingMax: number
  /** Maximum wait for a slot, in milliseconds. */
  waitMaxMs: number
}

/**
 * Slots of which each merchant has one at a time. The requests of a merchant wait for each other, and only the first of them
 * waits for a slot. So merchants take turns, and a merchant with many requests delays those of another by its turn only.
 */
export function createMerchantSlots({ runningMax, waitingMax, waitMaxMs }: MerchantSlotsOptions) {
  const all = createLimiter({ runningMax })
  const merchants = new Map<string, Limiter>()
  let waiting = 0

  function limiterOf(merchantId: string): Limiter {
    const known = merchants.get(merchantId)
    if (known) return known
    const own = createLimiter({ runningMax: 1, waitingMax: Math.ceil(waitingMax / 10), waitMaxMs })
    merchants.set(merchantId, own)
    return own
  }

  function leave(merchantId: string, own: Limiter): void {
    own.release()
    if (own.running === 0) merchants.delete(merchantId)
  }

  return {
    get running(): number {
      return all.running
    },
    get waiting(): number {
      return waiting
    },
    /**
     * Resolves with the function that releases the slot.
     *
     * @throws LimitError immediately when too many requests wait, or after `waitMaxMs`
     * @throws the signal's reason when it aborts
     */
    async acquire(signal: AbortSignal, merchantId: string): Promise<() => void> {
      signal.throwIfAborted()
      const giveUpAt = performance.now() + waitMaxMs
      // Each merchant in the map has a slot, or waits for one.
      const mustWait = merchants.has(merchantId) || merchants.size >= runningMax
      if (mustWait && waiting >= waitingMax) throw new LimitError('queue_full', `${waitingMax} callers wait already`)
      const own = limiterOf(merchantId)
      if (mustWait) waiting += 1
      try {
        await own.acquire(signal)
        await all.acquire(signal, Math.max(giveUpAt - performance.now(), 0)).catch((error: unknown) => {
          leave(merchantId, own)
          throw error
        })
      } finally {
        if (mustWait) waiting -= 1
      }
      return () => {
        all.release()
        leave(merchantId, own)
      }
    },
  }
}

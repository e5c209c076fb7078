import { setTimeout as sleep } from 'node:timers/promises'
import type { Provider } from './provider.ts'

export interface SimulatedProviderOptions {
  delayMs: number
  /** From 0 to 1. */
  successRate: number
  random?: () => number
}

/** Approves or declines by chance, after a while. */
export function createSimulatedProvider({
  delayMs,
  successRate,
  random = Math.random,
}: SimulatedProviderOptions): Provider {
  return {
    async charge(_payment, { signal }) {
      if (delayMs > 0) await sleep(delayMs, undefined, { signal })
      return random() < successRate ? { outcome: 'approved' } : { outcome: 'declined', failureCode: 'card_declined' }
    },
  }
}

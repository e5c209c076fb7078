import { createLimiter } from '@cashflow/async'
import type { Component } from '@cashflow/runtime'
import { createSignalJoin } from '../join-signals.ts'
import type { CircuitState } from './circuit.ts'
import type { Charge } from './provider.ts'

/** The right to claim one payment and to charge it once. */
export interface Permit {
  readonly charge: Charge
  /** Idempotent. Call it in any case, whether the permit was used or not. */
  release(): void
}

/**
 * Decides when a payment may be claimed. After `stop` it admits no payment, so that the worker need not wait for the
 * provider to stop.
 */
export interface Admission extends Component {
  /**
   * Deliveries that wait for the provider to return. RabbitMQ keeps those that exceed the worker's prefetch, and they are
   * not counted.
   */
  readonly waiting: number
  /** The state of the circuit to the provider. */
  readonly state: CircuitState
  /**
   * Resolves when the payment may be claimed: at once, when the provider has returned, or to probe the provider.
   * Undefined when `signal` aborts or the worker stops first.
   */
  admit(signal: AbortSignal, paymentId: string): Promise<Permit | undefined>
}

/**
 * Admits the payments that the breaker admits, but at most `chargesMax` at the same time. The others wait in their order,
 * unclaimed: a claimed payment must not wait, because its lease runs.
 */
export function createAdmission(breaker: Admission, chargesMax: number): Admission & { readonly slotsInUse: number } {
  const slots = createLimiter({ runningMax: chargesMax })
  const stopping = new AbortController()
  const untilStop = createSignalJoin(stopping.signal)

  return {
    name: breaker.name,
    get waiting() {
      return breaker.waiting
    },
    get state() {
      return breaker.state
    },
    /** Payments that are claimed, charged, or about to be. */
    get slotsInUse() {
      return slots.running
    },
    start: breaker.start,
    async stop() {
      stopping.abort()
      await breaker.stop()
    },
    async admit(signal, paymentId) {
      try {
        await slots.acquire(untilStop(signal))
      } catch {
        return undefined // Only an abort rejects.
      }
      const permit = await breaker.admit(signal, paymentId)
      if (!permit) slots.release()
      return permit && withSlot(permit, () => slots.release())
    },
  }
}

/** Frees the slot when the charge has ended: the settlement after it needs none. */
function withSlot(permit: Permit, free: () => void): Permit {
  let held = true
  function leave(): void {
    if (held) free()
    held = false
  }
  return {
    charge: (...charge) => permit.charge(...charge).finally(leave),
    release() {
      leave()
      permit.release()
    },
  }
}

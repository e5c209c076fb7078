import type { Component } from '@cashflow/runtime'
import { type CircuitOptions, createCircuit } from './circuit.ts'
import type { Provider } from './provider.ts'

export interface BreakerOptions extends CircuitOptions {
  /** How long a probe may take to claim its payment before another one may be made. Default 10,000. */
  probeClaimMs?: number
}

/** Leave to charge one payment. */
export interface Permit extends Provider {
  /** Idempotent. To be called whether it was used or not. */
  release(): void
}

/** Stopped, it admits nobody, so that the worker need not wait for the provider to stop. */
export interface Breaker extends Component {
  /** How many wait to be admitted. Not all that may: RabbitMQ keeps what exceeds the worker's prefetch. */
  readonly waiting: number
  /**
   * Resolves when a payment may be claimed to be charged: at once, or when the provider is back, or is to be probed.
   * Undefined: not at all, as the signal has aborted or the worker stops.
   */
  admit(signal: AbortSignal, paymentId: string): Promise<Permit | undefined>
}

interface Waiter {
  readonly paymentId: string
  leave(permit: Permit | undefined): void
}

/**
 * Keeps the worker from claiming while the provider is away, or refuses every payment, so that no payment spends its
 * attempts on that. While the circuit is open no payment is admitted, then one at a time, until one gets an answer.
 */
export function createBreaker({ probeClaimMs = 10_000, ...options }: BreakerOptions): Breaker {
  const circuit = createCircuit(options, admitNext)
  const line = new Set<Waiter>()
  let probing = false
  let stopped = false

  function admitNext(): void {
    if (circuit.isClosed) for (const waiter of line) waiter.leave(permit(false))
    else if (!probing) {
      const probe = nextProbe()
      probing = probe !== undefined
      probe?.leave(permit(true))
    }
  }

  /** One that was not refused since the last answer, or else the one whose refusal is the longest ago. */
  function nextProbe(): Waiter | undefined {
    const refusedAs = ({ paymentId }: Waiter) => circuit.refusedAs(paymentId)
    const waiters = [...line].filter(({ paymentId }) => circuit.mayProbe(paymentId))
    return waiters.toSorted((one, other) => refusedAs(one) - refusedAs(other))[0]
  }

  function permit(isProbe: boolean): Permit {
    let released = false
    // One that does not get as far as the provider, as its payment is locked, must not keep the others from it.
    const unused = isProbe ? setTimeout(() => release(), probeClaimMs).unref() : undefined

    function release(): void {
      clearTimeout(unused)
      if (released) return
      released = true
      if (!isProbe) return
      probing = false
      admitNext()
    }

    return {
      async charge(...charge) {
        clearTimeout(unused)
        return await circuit.charge(isProbe && !released, ...charge)
      },
      release,
    }
  }

  return {
    name: 'breaker',
    get waiting() {
      return line.size
    },
    async start() {},
    async stop() {
      stopped = true
      circuit.stop()
      for (const waiter of line) waiter.leave(undefined)
    },
    async admit(signal, paymentId) {
      if (stopped || signal.aborted) return undefined
      if (circuit.isClosed) return permit(false)
      const admitted = waitIn(line, signal, paymentId)
      admitNext()
      return await admitted
    },
  }
}

/** Undefined when the signal aborts first. */
function waitIn(line: Set<Waiter>, signal: AbortSignal, paymentId: string): Promise<Permit | undefined> {
  return new Promise((resolve) => {
    const goAway = () => waiter.leave(undefined)
    const waiter: Waiter = {
      paymentId,
      // In the same tick: no other waiter may be taken for this one, nor this one admitted twice.
      leave(permit) {
        line.delete(waiter)
        signal.removeEventListener('abort', goAway)
        resolve(permit)
      },
    }
    line.add(waiter)
    signal.addEventListener('abort', goAway)
  })
}

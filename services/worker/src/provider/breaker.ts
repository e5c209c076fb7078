import type { Admission, Permit } from './admission.ts'
import { type CircuitOptions, createCircuit } from './circuit.ts'

export interface BreakerOptions extends CircuitOptions {
  /** Maximum time that a probe takes to claim its payment before another payment may probe. Default: 10,000. */
  probeClaimMs?: number
}

interface Waiter {
  readonly paymentId: string
  leave(permit: Permit | undefined): void
}

/**
 * Stops the worker from claiming while the provider is away, or while it refuses every payment. No payment then loses
 * attempts to an outage. While the circuit is open, payments are admitted one at a time, as probes, until one gets an
 * answer.
 */
export function createBreaker({ probeClaimMs = 10_000, ...options }: BreakerOptions): Admission {
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

  /** A payment that was not refused since the last answer. If there is none, the payment refused the longest ago. */
  function nextProbe(): Waiter | undefined {
    const refusalOf = ({ paymentId }: Waiter) => circuit.lastRefusal(paymentId)
    const waiters = [...line].filter(({ paymentId }) => circuit.mayProbe(paymentId))
    return waiters.toSorted((one, other) => refusalOf(one) - refusalOf(other))[0]
  }

  function permit(isProbe: boolean): Permit {
    let released = false
    // A probe may not reach the provider, for example when its payment is locked. It must not block the next probe then.
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
    get state() {
      return circuit.state
    },
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

/** Resolves when the waiter gets a permit, or with undefined when the signal aborts first. */
function waitIn(line: Set<Waiter>, signal: AbortSignal, paymentId: string): Promise<Permit | undefined> {
  return new Promise((resolve) => {
    const giveUp = () => waiter.leave(undefined)
    const waiter: Waiter = {
      paymentId,
      // Removed in the same tick, so that no waiter is admitted twice, or after it has given up.
      leave(permit) {
        line.delete(waiter)
        signal.removeEventListener('abort', giveUp)
        resolve(permit)
      },
    }
    line.add(waiter)
    signal.addEventListener('abort', giveUp)
  })
}

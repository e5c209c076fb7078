import type { Provider, ProviderAnswer } from '../../src/provider/provider.ts'
import type { Actor, Stage } from './stage.ts'

export interface Calls {
  providerFor(actor: Actor, stage: Stage): Provider
  /** A worker has stored that the payment is pending. From then on each worker has to look the charge up first. */
  pendingStored(paymentId: string): void
  /** Payments with a call to the provider in flight, and a lease that has not ended. */
  readonly live: ReadonlySet<string>
  /** The payment's lease has ended, so other workers may call the provider. */
  leaseEnded(paymentId: string): void
  /** Calls that began while another call for the same payment was live, or without the look-up that was due. */
  readonly violations: string[]
}

/** Creates a provider whose calls are turns on the stage. The call of a worker that dies stays live until its lease ends. */
export function createCalls(next: () => ProviderAnswer): Calls {
  const live = new Map<string, symbol>()
  const undecided = new Set<string>()
  const violations: string[] = []
  const arrivals = new Map<Actor, Promise<void>>()

  /** Answers that a worker waits for arrive in the same tick, so that it settles their payments together. */
  function arrival(actor: Actor, stage: Stage): Promise<void> {
    const next = arrivals.get(actor) ?? stage.act(actor, async () => {}).finally(() => arrivals.delete(actor))
    arrivals.set(actor, next)
    return next
  }

  return {
    providerFor: (actor, stage) => ({
      async charge({ id }, _deadline, { pending }) {
        if (undecided.has(id) && !pending) violations.push(`${actor.name} charges ${id} without a look-up`)
        const call = Symbol(id)
        if (live.has(id)) violations.push(`${actor.name} charges ${id} while another worker does`)
        live.set(id, call)
        try {
          const answer = await stage.act(actor, async () => next())
          await arrival(actor, stage)
          return answer
        } finally {
          if (!actor.dead && live.get(id) === call) live.delete(id)
        }
      },
    }),
    get live() {
      return new Set(live.keys())
    },
    leaseEnded: (paymentId) => void live.delete(paymentId),
    pendingStored: (paymentId) => void undecided.add(paymentId),
    violations,
  }
}

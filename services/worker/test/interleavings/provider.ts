import type { Provider, ProviderAnswer } from '../../src/provider/provider.ts'
import type { Actor, Stage } from './stage.ts'

export interface Calls {
  providerFor(actor: Actor, stage: Stage): Provider
  /** A worker has stored that the provider has not decided about the payment: each one has to ask for the charge first. */
  pendingStored(paymentId: string): void
  /** Payments that a provider is being asked about, under a lease that has not ended. */
  readonly live: ReadonlySet<string>
  /** The payment's lease has ended: others may ask now. */
  leaseEnded(paymentId: string): void
  /** Calls that began although another was live. */
  readonly violations: string[]
}

/** A provider that is asked in turns, and remembers who may ask. A worker that dies asks on until its lease ends. */
export function createCalls(next: () => ProviderAnswer): Calls {
  const live = new Map<string, symbol>()
  const undecided = new Set<string>()
  const violations: string[] = []
  const arrivals = new Map<Actor, Promise<void>>()

  /** All that a worker is about to be answered arrives at the same time, and is then settled together. */
  function arrival(actor: Actor, stage: Stage): Promise<void> {
    const next = arrivals.get(actor) ?? stage.act(actor, async () => {}).finally(() => arrivals.delete(actor))
    arrivals.set(actor, next)
    return next
  }

  return {
    providerFor: (actor, stage) => ({
      async charge({ id }, _deadline, { pending }) {
        if (undecided.has(id) && !pending) violations.push(`${actor.name} charges ${id} without asking for its charge`)
        const call = Symbol(id)
        if (live.has(id)) violations.push(`${actor.name} asks about ${id} while another does`)
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

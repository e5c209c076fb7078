import type { OutboxMessage, Publisher, PublishOutcome } from '@cashflow/outbox'
import { type Actor, Died, type Stage } from './stage.ts'

/** What the broker does with a message. After the last two, the relay does not know whether the message arrived. */
export type Reception = 'confirmed' | 'nacked' | 'returned' | 'unknown_lost' | 'unknown_arrived'

export interface Delivery {
  readonly messageId: string
  readonly paymentId: string
}

export interface Broker {
  publisherFor(actor: Actor, stage: Stage): Publisher
  /** Messages that wait for a worker. */
  readonly queue: Delivery[]
  /** Messages that the broker has confirmed. */
  readonly confirmed: ReadonlySet<string>
  /** Messages that the broker refused or returned at least once. Later messages may arrive before them. */
  readonly refused: ReadonlySet<string>
  /** All messages in the order of their first arrival. */
  readonly arrived: readonly string[]
}

/** @param next returns what the broker does with the next message */
export function createBroker(next: () => Reception): Broker {
  const queue: Delivery[] = []
  const confirmed = new Set<string>()
  const refused = new Set<string>()
  const arrived = new Set<string>()

  function arrive(message: OutboxMessage): void {
    arrived.add(message.messageId)
    if (message.mandatory) queue.push({ messageId: message.messageId, paymentId: message.key })
  }

  function receive(message: OutboxMessage): PublishOutcome {
    const reception = next()
    switch (reception) {
      case 'nacked':
        refused.add(message.messageId)
        return { status: 'nacked' }
      case 'returned':
        if (!message.mandatory) break
        refused.add(message.messageId)
        return { status: 'returned', reason: 'NO_ROUTE' }
      case 'unknown_arrived':
        arrive(message)
        return { status: 'unknown', reason: 'lost' }
      case 'unknown_lost':
        return { status: 'unknown', reason: 'lost' }
      case 'confirmed':
        break
      default:
        return reception satisfies never
    }
    arrive(message)
    confirmed.add(message.messageId)
    return { status: 'confirmed' }
  }

  function receiveAll(messages: readonly OutboxMessage[]): PublishOutcome[] {
    let lost = false
    return messages.map((message) => {
      // As the real publisher does: it sends nothing more once the outcome of one message is unknown.
      const outcome: PublishOutcome = lost ? { status: 'unknown', reason: 'not sent' } : receive(message)
      lost ||= outcome.status === 'unknown'
      return outcome
    })
  }

  return {
    publisherFor: (actor, stage) => ({
      async publish(messages) {
        try {
          const outcomes = await stage.act(actor, async () => receiveAll(messages))
          return await stage.act(actor, async () => outcomes)
        } catch (error) {
          if (error instanceof Died) throw error
          return messages.map(() => ({ status: 'unknown', reason: 'lost' }))
        }
      },
      redeclare: () => stage.act(actor, async () => true),
    }),
    queue,
    confirmed,
    refused,
    get arrived() {
      return [...arrived]
    },
  }
}

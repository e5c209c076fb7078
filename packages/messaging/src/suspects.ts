import type { Logger } from './logger.ts'
import type { OutboundMessage } from './outbound-message.ts'

/** Number of suspects remembered. One that is forgotten is published with others, and suspected again. */
const SUSPECTS_MAX = 16_384
/** Time that suspects are remembered after the last loss, in milliseconds: another relay may have published them. */
const REMEMBERED_MS = 60_000
/** Culprits per neighbour. A broker that begins to refuse every message must not empty the outbox into dead letters. */
const CULPRITS_PER_NEIGHBOUR = 100

export type Suspects = ReturnType<typeof createSuspects>

/**
 * Suspects are the messages that were in flight when the broker closed a channel or a connection over one of them. Each is
 * published alone until the broker has answered for it. A neighbour is a message that was published alone and confirmed. It
 * shows that the broker does not refuse everything.
 *
 * A culprit is a message over which the broker closed the channel or the connection while it was alone in flight, after a
 * neighbour was confirmed.
 */
export function createSuspects(logger: Logger, now = () => performance.now()) {
  /** Suspects by message id: true if a channel was closed over the message while it was alone. */
  const suspects = new Map<string, boolean>()
  /** Number of further culprits there may be before another neighbour is needed. */
  let culpritsLeft = 0
  let lostAt = 0

  function forget(messageId: string): void {
    suspects.delete(messageId)
    if (suspects.size === 0) culpritsLeft = 0
  }

  function suspect(messages: readonly OutboundMessage[], reason: string): void {
    for (const { messageId } of messages) suspects.set(messageId, suspects.get(messageId) ?? false)
    for (const messageId of suspects.keys()) {
      if (suspects.size <= SUSPECTS_MAX) break
      suspects.delete(messageId)
    }
    const facts = { messages: messages.length, reason }
    logger.warn('RabbitMQ refused one of the messages in flight, publishing them one by one', facts)
  }

  function convict({ messageId, topic, key }: OutboundMessage, reason: string): boolean {
    if (culpritsLeft > 0) {
      culpritsLeft--
      forget(messageId)
      return true
    }
    suspects.set(messageId, true)
    const facts = { message_id: messageId, topic, key, reason }
    logger.warn('RabbitMQ refused this message, it is kept until another message is confirmed', facts)
    return false
  }

  return {
    /** Number of suspects. Usually 0: the publisher then asks for nothing else. */
    get size(): number {
      return suspects.size
    },
    /**
     * Has to be called when the broker closed the channel or the connection over one of `messages`, which were in flight.
     * Returns true if the message was `alone` and is a culprit.
     */
    blame(messages: readonly OutboundMessage[], { alone, reason }: { alone: boolean; reason: string }): boolean {
      const [first] = messages
      if (!first) return false
      lostAt = now()
      if (alone) return convict(first, reason)
      suspect(messages, reason)
      return false
    },
    /** Returns whether the message has to be alone in flight. Every message has to be until a neighbour is confirmed. */
    mustBeAlone: ({ messageId }: OutboundMessage): boolean => culpritsLeft === 0 || suspects.has(messageId),
    /** The broker answered for a message that was alone: it is not a culprit, and it is a neighbour if `confirmed`. */
    clear({ messageId }: OutboundMessage, { confirmed }: { confirmed: boolean }): void {
      if (confirmed) culpritsLeft = CULPRITS_PER_NEIGHBOUR
      forget(messageId)
    },
    /**
     * Returns the order in which a call's messages are sent, as indexes. Messages that are not suspects are first. Suspects
     * follow, the last one first: the broker had not looked at it yet, so it is more likely to become a neighbour. Messages
     * over which a channel was closed while they were alone are last. Messages with the same key keep their order.
     */
    order(messages: readonly OutboundMessage[]): number[] {
      if (now() - lostAt > REMEMBERED_MS) {
        suspects.clear()
        culpritsLeft = 0
      }
      /** Places by key: the rank of its messages so far, and the index of the message that gave it to them. */
      const keys = new Map<string, { rank: number; head: number }>()
      const ranked = messages.map(({ messageId, key }, index) => {
        const rank = 1 + Number(suspects.get(messageId) ?? -1)
        const before = keys.get(key) ?? { rank: 0, head: index }
        const place = rank > before.rank ? { rank, head: index } : before
        keys.set(key, place)
        return { ...place, index }
      })
      ranked.sort((a, b) => a.rank - b.rank || (a.rank === 1 ? b.head - a.head : 0) || a.index - b.index)
      return ranked.map(({ index }) => index)
    },
  }
}

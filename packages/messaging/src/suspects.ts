import type { OutboundMessage } from './batch.ts'
import type { Logger } from './logger.ts'

/** How many are remembered. One that is forgotten is published beside others, and suspected again. */
const SUSPECTS_MAX = 16_384
/** How long they are remembered after the last loss, in milliseconds. Another relay may have published them. */
const REMEMBERED_MS = 60_000
/** How many culprits one neighbour is good for. A broker that refuses everything from then on must not empty the outbox. */
const CULPRITS_PER_NEIGHBOUR = 100

/**
 * Messages that were in flight when the broker closed a channel or a connection over one of them. Each is published
 * alone until the broker has answered for it. A culprit is a message over which the broker did so while it was alone in
 * flight, where a neighbour, another message that was published alone, has been confirmed: it is not the broker that
 * refuses everything.
 */
export interface Suspects {
  /** 0 for all but a few seconds of a publisher's life. Nothing else has to be asked then. */
  readonly size: number
  /** Adds what was in flight together when the channel or the connection was lost. */
  add(messages: readonly OutboundMessage[], reason: string): void
  /** Whether nothing else may be in flight with it. True for every message until a neighbour is confirmed. */
  mustBeAlone(message: OutboundMessage): boolean
  /** The broker has answered for what was published alone: it is no culprit, and a neighbour if it was confirmed. */
  clear(message: OutboundMessage, answer: { confirmed: boolean }): void
  /** What was published alone has cost the channel or the connection. Returns whether it is a culprit. */
  convict(message: OutboundMessage, reason: string): boolean
  /**
   * The order in which a call's messages are sent, as indexes: first those above suspicion, last those that have cost a
   * channel. Of other suspects the last ones go first: the broker had not looked at them, so one of them is likely to be the
   * neighbour. Messages of one key keep their order.
   */
  order(messages: readonly OutboundMessage[]): number[]
}

export function createSuspects(logger: Logger, now = () => performance.now()): Suspects {
  /** By message id, whether it has cost a channel alone. */
  const suspects = new Map<string, boolean>()
  /** How many culprits there may be before another neighbour is needed. */
  let culpritsLeft = 0
  let lostAt = 0

  function forget(messageId?: string): void {
    if (messageId === undefined) suspects.clear()
    else suspects.delete(messageId)
    if (suspects.size === 0) culpritsLeft = 0
  }

  return {
    get size() {
      return suspects.size
    },
    add(messages, reason) {
      lostAt = now()
      for (const { messageId } of messages) suspects.set(messageId, suspects.get(messageId) ?? false)
      for (const messageId of suspects.keys()) {
        if (suspects.size <= SUSPECTS_MAX) break
        suspects.delete(messageId)
      }
      const facts = { messages: messages.length, reason }
      logger.warn('RabbitMQ refuses one of the messages in flight, they are published one by one', facts)
    },
    mustBeAlone: ({ messageId }) => culpritsLeft === 0 || suspects.has(messageId),
    clear({ messageId }, { confirmed }) {
      if (confirmed) culpritsLeft = CULPRITS_PER_NEIGHBOUR
      forget(messageId)
    },
    convict({ messageId, topic, key }, reason) {
      lostAt = now()
      const isCulprit = culpritsLeft > 0
      if (isCulprit) {
        culpritsLeft--
        forget(messageId)
      } else {
        suspects.set(messageId, true)
        const facts = { message_id: messageId, topic, key, reason }
        logger.warn('RabbitMQ refuses this message, it stays until another one is confirmed', facts)
      }
      return isCulprit
    },
    order(messages) {
      if (now() - lostAt > REMEMBERED_MS) forget()
      // By key, the place of what follows in it.
      const places = new Map<string, { guilt: number; head: number }>()
      const placed = messages.map(({ messageId, key }, index) => {
        const own = 1 + Number(suspects.get(messageId) ?? -1)
        const before = places.get(key) ?? { guilt: 0, head: index }
        const place = own > before.guilt ? { guilt: own, head: index } : before
        places.set(key, place)
        return { ...place, index }
      })
      placed.sort((a, b) => a.guilt - b.guilt || (a.guilt === 1 ? b.head - a.head : 0) || a.index - b.index)
      return placed.map(({ index }) => index)
    },
  }
}

import type { Channel, ConsumeMessage } from 'amqplib/callback_api'

/** Settles the deliveries of one channel. */
export interface Acknowledgements {
  /** Deliveries that are not settled yet. Each takes one place of the channel's prefetch. */
  readonly unsettled: number
  /** To be told of every delivery, in the order in which they come. */
  came(message: ConsumeMessage): void
  /** Sent with all others of this turn of the event loop. */
  ack(message: ConsumeMessage): void
  /** @throws what the channel throws */
  reject(message: ConsumeMessage): void
  /** Sends now what would be sent at the turn's end. */
  flush(): void
}

/**
 * Each acknowledgement costs a write here, and a command to the queue over there. So one is sent for several, as far as
 * nothing that came before them is still unsettled: the broker takes it for all up to it.
 *
 * @param failed with what the channel throws when it acknowledges
 */
export function createAcknowledgements(
  channel: Pick<Channel, 'ack' | 'reject'>,
  failed: (error: unknown) => void,
): Acknowledgements {
  // As the broker has them, in its order.
  const unsettled = new Set<ConsumeMessage>()
  const due = new Set<ConsumeMessage>()

  function flush(): void {
    try {
      const last = takeFirst()
      if (last) channel.ack(last, true)
      for (const message of due) {
        unsettled.delete(message)
        channel.ack(message)
      }
    } catch (error) {
      failed(error)
    }
    due.clear()
  }

  /** The last one up to which all are due. */
  function takeFirst(): ConsumeMessage | undefined {
    let last: ConsumeMessage | undefined
    for (const message of unsettled) {
      if (!due.delete(message)) break
      unsettled.delete(message)
      last = message
    }
    return last
  }

  return {
    get unsettled() {
      return unsettled.size
    },
    came: (message) => void unsettled.add(message),
    ack(message) {
      // Behind all promises: whatever else the same COMMIT has settled is due by then.
      if (due.size === 0) process.nextTick(flush)
      due.add(message)
    },
    reject(message) {
      channel.reject(message, false)
      unsettled.delete(message)
    },
    flush,
  }
}

import type { Channel, ConsumeMessage } from 'amqplib/callback_api'

/**
 * Settles the deliveries of one channel, several with one acknowledgement. Each acknowledgement costs a write here, and a
 * command at the queue. One with `multiple` covers all deliveries up to it, so it must have no unsettled one before it.
 *
 * @param failed receives what the channel throws
 */
export function createAcknowledgements(
  channel: Pick<Channel, 'ack' | 'nack' | 'reject'>,
  failed: (error: unknown) => void,
) {
  const unsettled = new Set<ConsumeMessage>() // A set keeps the order of arrival.
  const due = new Set<ConsumeMessage>()

  /** Sends the acknowledgements that are due. */
  function flush(): void {
    let last: ConsumeMessage | undefined
    for (const message of unsettled) {
      if (!due.delete(message)) break
      unsettled.delete(message)
      last = message
    }
    try {
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

  return {
    /** Number of deliveries that are not settled. Each takes one place of the channel's prefetch. */
    get unsettled() {
      return unsettled.size
    },
    /** Has to be called with each delivery, in the order of arrival. */
    track: (message: ConsumeMessage) => void unsettled.add(message),
    /** Acknowledges at the end of this turn of the event loop, together with the other deliveries. */
    ack(message: ConsumeMessage): void {
      // nextTick runs after all promises: every delivery that the same COMMIT settles is due by then.
      if (due.size === 0) process.nextTick(flush)
      due.add(message)
    },
    reject(message: ConsumeMessage): void {
      try {
        channel.reject(message, false)
        unsettled.delete(message)
      } catch (error) {
        failed(error)
      }
    },
    /**
     * Returns a delivery to its queue. From RabbitMQ 4.3 on, `nack` does not count towards the queue's delivery limit, and
     * `reject` does. Before, both count, and so does the end of the channel.
     */
    requeue(message: ConsumeMessage): void {
      try {
        channel.nack(message, false, true)
        unsettled.delete(message)
      } catch (error) {
        failed(error)
      }
    },
    flush,
  }
}

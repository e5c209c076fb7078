import type { NewMessage } from '@cashflow/outbox'
import type { Options } from 'amqplib'
import { openChannel, TOPOLOGY } from './queue.ts'

/**
 * Opens a publisher for peers and for prepared payments. Its messages are as persistent as the product's, and
 * confirmed.
 */
export async function openPublisher(url: string) {
  const { connection, channel } = await openChannel(url)
  return {
    /** Publishes a batch, and waits for its confirms. Concurrent calls share the channel. */
    publish(messages: readonly NewMessage[]): Promise<void> {
      return new Promise((resolve, reject) => {
        let left = messages.length
        if (left === 0) return resolve()
        const confirmed = (error: unknown) => {
          if (error) reject(error)
          else if (--left === 0) resolve()
        }
        const now = new Date()
        for (const message of messages)
          channel.publish(TOPOLOGY.exchange, message.topic, bodyOf(message), propertiesOf(message, now), confirmed)
      })
    },
    close: () => connection.close(),
  }
}

/** Returns the properties with which the product's relay publishes a message. */
export function propertiesOf({ messageId, topic, headers = {} }: NewMessage, createdAt: Date): Options.Publish {
  return {
    mandatory: true,
    persistent: true,
    contentType: 'application/json',
    messageId,
    type: topic,
    timestamp: Math.floor(createdAt.getTime() / 1_000),
    headers,
    correlationId: messageId,
  }
}

export function bodyOf({ payload }: NewMessage): Buffer {
  return Buffer.from(JSON.stringify(payload))
}

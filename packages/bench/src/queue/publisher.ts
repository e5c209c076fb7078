import type { NewMessage } from '@cashflow/outbox'
import { heard, openConnection } from './connection.ts'
import { bodyOf, propertiesOf } from './properties.ts'
import { TOPOLOGY } from './queue.ts'

/**
 * Publishes all of a batch, and waits for the confirms of all. Concurrent calls share the channel, and each waits for its
 * own messages only.
 */
export type PublishConfirmed = (messages: readonly NewMessage[]) => Promise<void>

/** How peers and the textbook's messages reach the broker: as persistent as the product's, and confirmed. */
export async function openPublisher(url: string): Promise<{ publish: PublishConfirmed; close(): Promise<void> }> {
  const connection = await openConnection(url)
  const channel = heard(await connection.createConfirmChannel())
  return {
    publish(messages) {
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

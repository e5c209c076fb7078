import type { NewMessage } from '@cashflow/outbox'
import type { Options } from 'amqplib'

/** What the product's relay publishes a message with. */
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

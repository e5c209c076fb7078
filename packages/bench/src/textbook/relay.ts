import type { ConfirmChannel } from 'amqplib'
import type { Kysely } from 'kysely'
import { EXCHANGE } from './broker.ts'
import type { Tables } from './database.ts'

export interface RelayOptions {
  db: Kysely<Tables>
  channel: ConfirmChannel
  /** Number of rows that are claimed, published and marked in one transaction. */
  batchSize: number
}

/** Claims unpublished rows, publishes them, and marks them as published. @returns their number */
export async function relayOnce({ db, channel, batchSize }: RelayOptions): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    const messages = await tx
      .selectFrom('outbox')
      .select(['id', 'topic', 'payload'])
      .where('published_at', 'is', null)
      .orderBy('id')
      .limit(batchSize)
      .forUpdate()
      .skipLocked()
      .execute()
    if (messages.length === 0) return 0
    for (const { id, topic, payload } of messages)
      channel.publish(EXCHANGE, topic, Buffer.from(JSON.stringify(payload)), {
        persistent: true,
        messageId: id,
        contentType: 'application/json',
      })
    await channel.waitForConfirms()
    await tx
      .updateTable('outbox')
      .set({ published_at: new Date() })
      .where(
        'id',
        'in',
        messages.map(({ id }) => id),
      )
      .execute()
    return messages.length
  })
}

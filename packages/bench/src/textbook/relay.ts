import { setTimeout as sleep } from 'node:timers/promises'
import { connect, EXCHANGE } from './broker.ts'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'

const settings = loadSettings()
const logger = createLogger('relay')
const db = createDatabase(settings.DATABASE_URL, 1)
const connection = await connect(settings.RABBITMQ_URL)
const channel = await connection.createConfirmChannel()

let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})

logger.info('ready')
while (!stopping) {
  const published = await relayOnce()
  if (published > 0) logger.info('published', { count: published })
  else await sleep(settings.TEXTBOOK_POLL_MS)
}
await connection.close()
await db.destroy()

/** Claims unpublished rows, publishes them, and marks them as published. @returns their number */
async function relayOnce(): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    const messages = await tx
      .selectFrom('outbox')
      .select(['id', 'topic', 'payload'])
      .where('published_at', 'is', null)
      .orderBy('id')
      .limit(settings.TEXTBOOK_BATCH)
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

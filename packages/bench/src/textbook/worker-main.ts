import type { ConsumeMessage } from 'amqplib'
import { connect, QUEUE } from './broker.ts'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'
import { processPayment } from './worker.ts'

const settings = loadSettings()
const logger = createLogger('worker')
const db = createDatabase(settings.DATABASE_URL, 1)
const connection = await connect(settings.RABBITMQ_URL)
const channel = await connection.createChannel()
const options = {
  db,
  logger,
  providerDelayMs: settings.PROVIDER_DELAY_MS,
  successRate: settings.PROVIDER_SUCCESS_RATE,
}

async function handle(message: ConsumeMessage): Promise<void> {
  const { payment_id: paymentId } = JSON.parse(message.content.toString()) as { payment_id: string }
  await processPayment(paymentId, options)
  channel.ack(message)
}

// With a prefetch of 1, a message is delivered when the one before is acknowledged.
await channel.prefetch(1)
let handling = Promise.resolve()
const { consumerTag } = await channel.consume(QUEUE, (message) => {
  if (message) handling = handle(message)
})

process.once('SIGTERM', async () => {
  await channel.cancel(consumerTag)
  await handling
  await connection.close()
  await db.destroy()
  process.exit(0)
})
logger.info('ready')

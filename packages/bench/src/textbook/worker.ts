import { setTimeout as sleep } from 'node:timers/promises'
import type { ConsumeMessage } from 'amqplib'
import { connect, QUEUE } from './broker.ts'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'

const settings = loadSettings()
const logger = createLogger('worker')
const db = createDatabase(settings.DATABASE_URL, 1)
const connection = await connect(settings.RABBITMQ_URL)
const channel = await connection.createChannel()

async function handle(message: ConsumeMessage): Promise<void> {
  const { payment_id: paymentId } = JSON.parse(message.content.toString()) as { payment_id: string }
  await processPayment(paymentId)
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

/** Processes a payment in one transaction. A settled payment is left unchanged. */
async function processPayment(paymentId: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const payment = await tx
      .selectFrom('payments')
      .select('status')
      .where('id', '=', paymentId)
      .forUpdate()
      .executeTakeFirst()
    if (payment?.status !== 'PENDING') {
      logger.info('skipping payment', { payment_id: paymentId, status: payment?.status })
      return
    }
    const status = await charge()
    await tx.updateTable('payments').set({ status, updated_at: new Date() }).where('id', '=', paymentId).execute()
    await tx
      .insertInto('outbox')
      .values({
        topic: status === 'SUCCESS' ? 'payment.succeeded' : 'payment.failed',
        payload: { payment_id: paymentId },
      })
      .execute()
    logger.info('payment settled', { payment_id: paymentId, status })
  })
}

async function charge(): Promise<'SUCCESS' | 'FAILED'> {
  if (settings.PROVIDER_DELAY_MS > 0) await sleep(settings.PROVIDER_DELAY_MS)
  return Math.random() < settings.PROVIDER_SUCCESS_RATE ? 'SUCCESS' : 'FAILED'
}

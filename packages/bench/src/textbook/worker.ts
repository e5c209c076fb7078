import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import type { Tables } from './database.ts'

export interface WorkerOptions {
  db: Kysely<Tables>
  logger: Logger
  providerDelayMs: number
  successRate: number
}

/** Processes a payment in one transaction. A settled payment is left unchanged. */
export async function processPayment(paymentId: string, options: WorkerOptions): Promise<void> {
  const { db, logger } = options
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
    const status = await charge(options)
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

async function charge({ providerDelayMs, successRate }: WorkerOptions): Promise<'SUCCESS' | 'FAILED'> {
  if (providerDelayMs > 0) await sleep(providerDelayMs)
  return Math.random() < successRate ? 'SUCCESS' : 'FAILED'
}

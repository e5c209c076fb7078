import { createLimiter, pause } from '@cashflow/async'
import { mayBeItemsOwn, redriveNow, type Tables } from '@cashflow/db'
import type { Delivery } from '@cashflow/messaging'
import { buryMessage } from '@cashflow/outbox'
import { createCondition } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'
import { damagedLetter, plainLetter, unknownLetter, unreadableLetter } from './dead-letters.ts'
import type { Handler } from './handle-delivery.ts'
import { logFieldsOf, type PaymentMessage, readDelivery } from './payment-message.ts'
import { type RetryOptions, transact } from './retry.ts'

const UNSTORABLE_PAUSE_MS = 10_000
/** Deliveries that use the database at the same time. Payments need its sessions more. */
const STORING_MAX = 5

/**
 * Handles the deliveries of the dead letter queue: messages that a worker rejected, or that exceeded the delivery limit.
 * - An unreadable message becomes a dead letter in the database.
 * - A message that names a payment is dropped, and its payment redriven: the workers that failed to ack it may have died
 *   of another cause.
 * - If PostgreSQL cannot use the payment's row, a dead letter gives the reason.
 * - A message that cannot be stored stays here and is tried again. It blocks no other message.
 */
export function createDeadDeliveryHandler({
  db,
  logger,
  pauseMs = UNSTORABLE_PAUSE_MS,
}: Pick<RetryOptions, 'logger'> & { db: Kysely<Tables>; pauseMs?: number }): Handler {
  const stopping = new AbortController()
  const storing = createLimiter({ runningMax: STORING_MAX })
  const waiting = new Set<Delivery>()
  const unstorable = createCondition(logger, {
    level: 'error',
    message: 'dead message could not be stored, trying again',
    over: 'all dead messages could be stored',
  })

  /** @param isRefused PostgreSQL refused an earlier attempt */
  async function store(delivery: Delivery, isRefused: boolean, signal: AbortSignal): Promise<void> {
    const message = readDelivery(delivery)
    if (!message) return await buryUnreadable(delivery, isRefused, signal)
    try {
      await redrive(message, signal)
    } catch (error) {
      if (!mayBeItemsOwn(error)) throw error
      const letter = damagedLetter(message, error as Error)
      await transact(db, (tx) => buryMessage(tx, letter), { signal, logger })
      logger.error('payment has an unusable row, it is now a dead letter', { ...logFieldsOf(message), error })
    }
  }

  async function buryUnreadable(delivery: Delivery, isRefused: boolean, signal: AbortSignal): Promise<void> {
    const letter = isRefused ? plainLetter(delivery) : unreadableLetter(delivery)
    const isNew = await transact(db, (tx) => buryMessage(tx, letter), { signal, logger })
    const fields = { key: letter.key, topic: letter.topic }
    if (isNew) logger.error('unreadable message is now a dead letter', fields)
    else logger.info('unreadable message is a dead letter already', fields)
  }

  async function redrive(message: PaymentMessage, signal: AbortSignal): Promise<void> {
    // If the first attempt failed at a lock, the payment keeps its own redrive time: the second one skips a locked row.
    const decide = async (tx: Transaction<Tables>, again: boolean) => {
      const became = await redriveNow(tx, message.paymentId, { skipLocked: again })
      if (became === 'unknown') await buryMessage(tx, unknownLetter(message))
      return became
    }
    const became = await transact(db, decide, { signal, logger })
    logger.warn('message reached the dead letter queue, its payment is redriven if needed', {
      ...logFieldsOf(message),
      redrive: became,
    })
  }

  async function storeWithSlot(delivery: Delivery, signal: AbortSignal): Promise<void> {
    await storing.acquire(signal)
    try {
      await store(delivery, waiting.has(delivery), signal)
    } finally {
      storing.release()
    }
  }

  return {
    name: 'dead delivery handler',
    async start() {},
    async stop() {
      stopping.abort()
    },
    async handle(delivery) {
      const signal = AbortSignal.any([stopping.signal, delivery.signal])
      try {
        for (;;) {
          try {
            await storeWithSlot(delivery, signal)
            return 'ack'
          } catch (error) {
            // The channel is gone, so RabbitMQ delivers the message again and ignores this decision.
            if (delivery.signal.aborted) return 'ack'
            stopping.signal.throwIfAborted()
            // This queue is the last one, and drops a rejected message. So it stays here until an operator removes the cause.
            waiting.add(delivery)
            unstorable.holds({ message_id: delivery.messageId, messages: waiting.size, error })
            await pause(pauseMs, signal)
          }
        }
      } finally {
        if (waiting.delete(delivery) && waiting.size === 0 && !signal.aborted) unstorable.isOver()
      }
    },
  }
}

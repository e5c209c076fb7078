import { setTimeout as sleep } from 'node:timers/promises'
import { hastenRedrive, mayBeItemsOwn, type Tables } from '@cashflow/db'
import type { Delivery } from '@cashflow/messaging'
import { buryMessage } from '@cashflow/outbox'
import type { Kysely, Transaction } from 'kysely'
import type { Handler } from './handle-delivery.ts'
import { damagedLetter, poisonLetter } from './poison-letter.ts'
import { type PaymentMessage, readDelivery } from './read-delivery.ts'
import { type PersistOptions, transact } from './retry.ts'
import { buryUnknown } from './set-aside.ts'

const UNSTORABLE_PAUSE_MS = 10_000

/**
 * What the worker does with a delivery that was rejected, or that the delivery limit struck. One that nobody can read
 * becomes a dead letter. One that names a payment may have been struck by workers that died of something else: it is
 * dropped, and its payment redriven. Where PostgreSQL cannot use the payment's row, a dead letter says why.
 */
export function createDeadDeliveryHandler({
  db,
  logger,
}: Pick<PersistOptions, 'logger'> & { db: Kysely<Tables> }): Handler {
  const stopping = new AbortController()

  async function store(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const message = readDelivery(delivery)
    if (!message) {
      const letter = poisonLetter(delivery)
      const facts = { key: letter.key, topic: letter.topic }
      if (await transact(db, (tx) => buryMessage(tx, letter), { signal, logger }))
        logger.error('unreadable message is now a dead letter', facts)
      else logger.info('unreadable message is a dead letter already', facts)
      return
    }
    try {
      await redrive(message, signal)
    } catch (error) {
      if (!mayBeItemsOwn(error)) throw error
      const letter = damagedLetter(message, error as Error)
      await transact(db, (tx) => buryMessage(tx, letter), { signal, logger })
      logger.error('payment has an unusable row, it is now a dead letter', { ...factsOf(message), error })
    }
  }

  async function redrive(message: PaymentMessage, signal: AbortSignal): Promise<void> {
    // One that is locked is left to its own redrive, when waiting for it has failed.
    const decide = async (tx: Transaction<Tables>, again: boolean) => {
      const became = await hastenRedrive(tx, message.paymentId, { skipLocked: again })
      if (became === 'unknown') await buryUnknown(tx, message)
      return became
    }
    const became = await transact(db, decide, { signal, logger })
    logger.warn('message died in the queue, its payment decides', { ...factsOf(message), redrive: became })
  }

  return {
    name: 'dead delivery handler',
    async start() {},
    async stop() {
      stopping.abort()
    },
    async handle(delivery) {
      const signal = AbortSignal.any([stopping.signal, delivery.signal])
      for (;;) {
        try {
          await store(delivery, signal)
          return 'ack'
        } catch (error) {
          // Its channel is gone: it comes again, and settling this one is moot.
          if (delivery.signal.aborted) return 'ack'
          stopping.signal.throwIfAborted()
          // This queue is the last one. Rejected it would be dropped, so it waits here for whoever mends the cause.
          logger.error('dead message could not be stored, trying again', { message_id: delivery.messageId, error })
          await sleep(UNSTORABLE_PAUSE_MS, undefined, { signal }).catch(() => {}) // Only abort rejects.
        }
      }
    },
  }
}

function factsOf({ paymentId, messageId, requestId }: PaymentMessage) {
  return { payment_id: paymentId, message_id: messageId, request_id: requestId }
}

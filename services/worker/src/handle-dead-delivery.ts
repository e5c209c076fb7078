import { createLimiter, Loops, pause } from '@cashflow/async'
import { mayBeItemsOwn, type Tables } from '@cashflow/db'
import { redriveNow } from '@cashflow/db/worker'
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

interface DeadHandlerOptions extends Pick<RetryOptions, 'logger'> {
  db: Kysely<Tables>
  pauseMs?: number
}

/**
 * Handles the deliveries of the dead letter queue: messages that a worker rejected, or that exceeded the delivery limit.
 * - An unreadable message becomes a dead letter in the database.
 * - A message that names a payment is dropped, and its payment redriven: the workers that did not acknowledge it may have
 *   died of another cause.
 * - If PostgreSQL cannot use the payment's row, a dead letter gives the reason.
 * - A message that cannot be stored stays here and is tried again. It blocks no other message.
 */
export function createDeadDeliveryHandler({ db, logger, pauseMs = UNSTORABLE_PAUSE_MS }: DeadHandlerOptions): Handler {
  const stopping = new AbortController()
  const loops = new Loops()
  const storing = createLimiter({ runningMax: STORING_MAX })
  const waiting = new Set<Delivery>()
  const unstorable = createCondition(logger, {
    level: 'error',
    message: 'dead message could not be stored, trying again',
    ended: 'all dead messages could be stored',
  })

  async function storeInTurn(delivery: Delivery, signal: AbortSignal): Promise<void> {
    await storing.acquire(delivery.draining)
    try {
      await store(delivery, waiting.has(delivery), { db, logger, signal, loops })
    } finally {
      storing.release()
    }
  }

  return {
    name: 'dead delivery handler',
    loops,
    async start() {},
    async stop() {
      stopping.abort()
    },
    async handle(delivery) {
      const signal = AbortSignal.any([stopping.signal, delivery.signal])
      try {
        for (;;) {
          try {
            await storeInTurn(delivery, signal)
            return 'ack'
          } catch (error) {
            // The channel is gone, so RabbitMQ delivers the message again and ignores this decision.
            if (delivery.signal.aborted) return 'ack'
            if (delivery.draining.aborted) return 'leave'
            stopping.signal.throwIfAborted()
            // This queue is the last one, and drops a rejected message. So it stays here until an operator removes the cause.
            waiting.add(delivery)
            unstorable.holds({ message_id: delivery.messageId, messages: waiting.size, error })
            await pause(pauseMs, AbortSignal.any([stopping.signal, delivery.draining]))
          }
        }
      } finally {
        if (waiting.delete(delivery) && waiting.size === 0 && !signal.aborted && !delivery.draining.aborted)
          unstorable.ended()
      }
    },
  }
}

interface Storage extends DeadHandlerOptions {
  signal: AbortSignal
  loops: Loops
}

/** @param isRefused PostgreSQL refused an earlier attempt */
async function store(delivery: Delivery, isRefused: boolean, storage: Storage): Promise<void> {
  const message = readDelivery(delivery)
  if (!message) return await buryUnreadable(delivery, isRefused, storage)
  try {
    await redrive(message, storage)
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    const letter = damagedLetter(message, error as Error)
    await transact(storage.db, (tx) => buryMessage(tx, letter), storage)
    storage.logger.error('payment has an unusable row, it is now a dead letter', { ...logFieldsOf(message), error })
  }
}

async function buryUnreadable(delivery: Delivery, isRefused: boolean, storage: Storage): Promise<void> {
  const letter = isRefused ? plainLetter(delivery) : unreadableLetter(delivery)
  const isNew = await transact(storage.db, (tx) => buryMessage(tx, letter), storage)
  const fields = { key: letter.key, topic: letter.topic }
  if (isNew) storage.logger.error('unreadable message is now a dead letter', fields)
  else storage.logger.info('unreadable message is a dead letter already', fields)
}

async function redrive(message: PaymentMessage, storage: Storage): Promise<void> {
  // The first attempt waits for a locked row, and the second skips it: the payment then keeps its redrive time.
  const decide = async (tx: Transaction<Tables>, again: boolean) => {
    const reason = 'its message reached the dead letter queue'
    const became = await redriveNow(tx, message.paymentId, { skipLocked: again, reason })
    if (became === 'unknown') await buryMessage(tx, unknownLetter(message))
    return became
  }
  const fields = { ...logFieldsOf(message), redrive: await transact(storage.db, decide, storage) }
  storage.logger.warn('message reached the dead letter queue, its payment is redriven if needed', fields)
}

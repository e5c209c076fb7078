import { setTimeout as sleep } from 'node:timers/promises'
import { mayBeItemsOwn, redriveNow, type Tables } from '@cashflow/db'
import type { Delivery } from '@cashflow/messaging'
import { buryMessage } from '@cashflow/outbox'
import { createCondition } from '@cashflow/runtime'
import type { Kysely, Transaction } from 'kysely'
import type { Handler } from './handle-delivery.ts'
import { damagedLetter, plainLetter, poisonLetter } from './poison-letter.ts'
import { type PaymentMessage, readDelivery } from './read-delivery.ts'
import { type RetryOptions, transact } from './retry.ts'
import { buryUnknown } from './set-aside.ts'

const UNSTORABLE_PAUSE_MS = 10_000
/** Deliveries that use the database at the same time: payments need its sessions more. */
const STORED_AT_ONCE = 5

/**
 * What the worker does with a delivery that was rejected, or that the delivery limit struck. One that nobody can read
 * becomes a dead letter. One that names a payment may have been struck by workers that died of something else: it is
 * dropped, and its payment redriven. Where PostgreSQL cannot use the payment's row, a dead letter says why. One that cannot
 * be stored waits here, and holds up no other one.
 */
export function createDeadDeliveryHandler({
  db,
  logger,
  pauseMs = UNSTORABLE_PAUSE_MS,
}: Pick<RetryOptions, 'logger'> & { db: Kysely<Tables>; pauseMs?: number }): Handler {
  const stopping = new AbortController()
  const inTurn = createTurns(STORED_AT_ONCE)
  const waiting = new Set<Delivery>()
  const unstorable = createCondition(logger, {
    level: 'error',
    message: 'dead message could not be stored, trying again',
    over: 'all dead messages could be stored',
  })

  /** @param isRefused whether PostgreSQL did not take it before */
  async function store(delivery: Delivery, isRefused: boolean, signal: AbortSignal): Promise<void> {
    const message = readDelivery(delivery)
    if (!message) {
      const letter = isRefused ? plainLetter(delivery) : poisonLetter(delivery)
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
      const became = await redriveNow(tx, message.paymentId, { skipLocked: again })
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
      try {
        for (;;) {
          try {
            await inTurn(() => store(delivery, waiting.has(delivery), signal))
            return 'ack'
          } catch (error) {
            // Its channel is gone: it comes again, and settling this one is moot.
            if (delivery.signal.aborted) return 'ack'
            stopping.signal.throwIfAborted()
            // This queue is the last one. Rejected it would be dropped, so it waits here until an operator removes the cause.
            waiting.add(delivery)
            unstorable.holds({ message_id: delivery.messageId, messages: waiting.size, error })
            await sleep(pauseMs, undefined, { signal }).catch(() => {}) // Only abort rejects.
          }
        }
      } finally {
        if (waiting.delete(delivery) && waiting.size === 0 && !signal.aborted) unstorable.isOver()
      }
    },
  }
}

/** Runs at most `runningMax` of the works that it is given at the same time, and the others in their order. */
function createTurns(runningMax: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let running = 0
  const queue: (() => void)[] = []
  return async (work) => {
    if (running < runningMax) running += 1
    else await new Promise<void>((resolve) => queue.push(resolve))
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else running -= 1
    }
  }
}

function factsOf({ paymentId, messageId, requestId }: PaymentMessage) {
  return { payment_id: paymentId, message_id: messageId, request_id: requestId }
}

import type { Delivery, Settlement } from '@cashflow/messaging'
import type { Part } from '@cashflow/runtime'
import { type BatchOptions, createBatches } from './batches.ts'
import type { Breaker } from './breaker.ts'
import { type ProcessOptions, processPayment } from './process-payment.ts'
import { readDelivery } from './read-delivery.ts'

const ATTEMPTS_MAX = 10

export interface HandlerOptions
  extends Omit<ProcessOptions, 'provider' | 'batches' | 'attemptsMax'>,
    Pick<BatchOptions, 'clocks'> {
  breaker: Breaker
}

export interface Handler extends Part {
  /**
   * Answers when all that the delivery led to is committed, or nothing was begun. Rejects only while stopping: it is then
   * delivered again.
   */
  handle(delivery: Delivery): Promise<Settlement>
}

/** What the worker does with each delivery. A payment is taken to its end even if the channel is lost after its claim. */
export function createHandler({ breaker, clocks, ...given }: HandlerOptions): Handler {
  const options = { ...given, attemptsMax: ATTEMPTS_MAX }
  const { logger } = options
  const stopping = new AbortController()
  const batches = createBatches({ ...options, clocks })
  return {
    name: 'handler',
    async start() {},
    /** Ends what still waits for the database; its leases run out, and another worker goes on. */
    async stop() {
      stopping.abort()
    },
    async handle(delivery) {
      const message = readDelivery(delivery)
      if (!message) {
        logger.error('message is not readable, rejected', {
          message_id: delivery.messageId,
          bytes: delivery.body.length,
        })
        return 'reject'
      }
      // Before anything is claimed: with its channel gone, or the worker stopping, the delivery comes again.
      const permit = await breaker.admit(delivery.signal)
      if (!permit) return 'leave'
      try {
        const settings = { ...options, batches, provider: permit }
        await processPayment(message, settings, stopping.signal, delivery.signal)
        return 'ack'
      } catch (error) {
        stopping.signal.throwIfAborted()
        // Its channel is gone and it comes again. Else lost channels would pile up what waits for the database.
        if (delivery.signal.aborted) return 'leave'
        // Acknowledged it would be lost, and delivered again at once it would fail at once.
        logger.error('payment could not be processed, message rejected', {
          payment_id: message.paymentId,
          message_id: message.messageId,
          request_id: message.requestId,
          error,
        })
        return 'reject'
      } finally {
        permit.release()
      }
    },
  }
}

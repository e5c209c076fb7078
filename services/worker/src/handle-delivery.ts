import type { AckDecision, Delivery } from '@cashflow/messaging'
import type { Component } from '@cashflow/runtime'
import { type BatchOptions, createBatches } from './batches.ts'
import { type Processed, type ProcessOptions, processPayment } from './process-payment.ts'
import type { Breaker } from './provider/breaker.ts'
import { type PaymentMessage, readDelivery } from './read-delivery.ts'

const ATTEMPTS_MAX = 10

export interface HandlerOptions
  extends Omit<ProcessOptions, 'provider' | 'batches' | 'attemptsMax'>,
    Pick<BatchOptions, 'clocks'> {
  breaker: Breaker
}

export interface Handler extends Component {
  /**
   * Answers when all that the delivery led to is committed, or nothing was begun. Rejects only while stopping: it is then
   * delivered again.
   */
  handle(delivery: Delivery): Promise<AckDecision>
}

/**
 * What the worker does with each delivery. A payment is taken to its end even if the channel is lost after its claim.
 * Several deliveries of a payment share that.
 */
export function createHandler({ breaker, clocks, ...given }: HandlerOptions): Handler {
  const options = { ...given, attemptsMax: ATTEMPTS_MAX }
  const { logger } = options
  const stopping = new AbortController()
  const batches = createBatches({ ...options, clocks })
  /** By payment, one at a time. */
  const runs = new Map<string, Promise<Processed | undefined>>()
  /** By the signal of a channel. */
  const claimings = new WeakMap<AbortSignal, AbortSignal>()

  /** One for all deliveries of a channel: a signal that follows others is dear to make, and to collect. */
  function claimingOf({ signal }: Delivery): AbortSignal {
    const claiming = claimings.get(signal) ?? AbortSignal.any([stopping.signal, signal])
    claimings.set(signal, claiming)
    return claiming
  }

  /** Undefined: nothing was begun. With its channel gone, or the worker stopping, the delivery comes again. */
  async function run(message: PaymentMessage, delivery: Delivery): Promise<Processed | undefined> {
    // Before anything is claimed.
    const permit = await breaker.admit(delivery.signal, message.paymentId)
    if (!permit) return undefined
    try {
      const settings = { ...options, batches, provider: permit }
      return await processPayment(message, settings, stopping.signal, claimingOf(delivery))
    } finally {
      permit.release()
    }
  }

  async function take(message: PaymentMessage, delivery: Delivery): Promise<AckDecision> {
    const { paymentId } = message
    for (let other = runs.get(paymentId); other; other = runs.get(paymentId)) {
      if ((await endOf(other, delivery.signal)) === 'settled') return 'ack'
      // After all else each looks for itself: its message may be the very one that the other has scheduled.
      if (delivery.signal.aborted) return 'leave'
    }
    const own = run(message, delivery).finally(() => runs.delete(paymentId))
    runs.set(paymentId, own)
    return (await own) ? 'ack' : 'leave'
  }

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
          bytes: delivery.bytes,
        })
        return 'reject'
      }
      try {
        return await take(message, delivery)
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
      }
    },
  }
}

/** What a run came to; undefined when it failed, or the signal aborts before its end. */
async function endOf(run: Promise<Processed | undefined>, signal: AbortSignal): Promise<Processed | undefined> {
  const { promise: gone, resolve } = Promise.withResolvers<undefined>()
  const leave = () => resolve(undefined)
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave)
  try {
    return await Promise.race([run, gone])
  } catch {
    return undefined // Said by whoever runs it.
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

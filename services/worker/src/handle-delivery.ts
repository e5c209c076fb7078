import { within } from '@cashflow/async'
import type { AckDecision, Delivery } from '@cashflow/messaging'
import type { Component } from '@cashflow/runtime'
import { errorTypeOf, markFailed, type Span, traceparentOf } from '@cashflow/tracing'
import { type Batches, type BatchOptions, createBatches } from './batches.ts'
import { createSignalJoin } from './join-signals.ts'
import type { Processed, ProcessOptions } from './outcomes.ts'
import { logFieldsOf, type PaymentMessage, readDelivery } from './payment-message.ts'
import { processPayment } from './process-payment.ts'
import type { Admission, Permit } from './provider/admission.ts'
import type { Simulator } from './simulate.ts'
import type { BeginDelivery } from './trace-delivery.ts'

const ATTEMPTS_MAX = 10
const NONE_PROCESSED: Readonly<Record<Processed, number>> = {
  settled: 0,
  skipped: 0,
  rescheduled: 0,
  retry_scheduled: 0,
  pending: 0,
  refused: 0,
  released: 0,
  parked: 0,
  claim_lost: 0,
}

export interface HandlerOptions
  extends Omit<ProcessOptions, 'charge' | 'batches' | 'attemptsMax'>,
    Pick<BatchOptions, 'clocks'> {
  admission: Admission
  /** Only with the simulated provider. Takes the place of `simulate`. */
  simulator?: Simulator | undefined
  /** Undefined where nothing is traced. */
  beginDelivery?: BeginDelivery | undefined
}

export interface PaymentHandler extends Handler {
  /** Number of deliveries so far, by what became of them. */
  readonly processed: Readonly<Record<Processed, number>>
  /** Number of claims so far, by verdict. */
  readonly verdicts: Batches['verdicts']
}

export interface Handler extends Component {
  /**
   * Resolves when everything that the delivery caused is committed, or when nothing was begun. Rejects only while the
   * worker stops: RabbitMQ then delivers the message again.
   */
  handle(delivery: Delivery): Promise<AckDecision>
}

/**
 * Handles the deliveries of the work queue. A claimed payment is processed to its outcome even if the channel is lost
 * after the claim. Deliveries of one payment at the same time share its processing.
 */
export function createHandler({
  admission,
  simulator,
  clocks,
  beginDelivery,
  ...given
}: HandlerOptions): PaymentHandler {
  const options = { ...given, attemptsMax: ATTEMPTS_MAX }
  const { logger } = options
  const stopping = new AbortController()
  const untilStop = createSignalJoin(stopping.signal)
  const batches = createBatches({ ...options, clocks })
  const processed = { ...NONE_PROCESSED }
  /** The run of each payment that is being processed. */
  const runs = new Map<string, Promise<Processed | undefined>>()

  /** Undefined when nothing was begun, as the channel is gone, or the worker pauses or stops. RabbitMQ delivers the message again. */
  async function run(message: PaymentMessage, delivery: Delivery): Promise<Processed | undefined> {
    // Asked before the claim, because the lease of a claimed payment runs while the payment waits.
    const permit = await admission.admit(delivery.draining, message.paymentId)
    if (!permit) return undefined
    try {
      if (!simulator) return await process(message, delivery, { charge: permit.charge })
      if (simulator.isCrashing) return undefined
      return await simulator.track(message.paymentId, process(message, delivery, simulated(permit, simulator)))
    } finally {
      permit.release()
    }
  }

  function process(
    message: PaymentMessage,
    { draining }: Delivery,
    charging: Pick<ProcessOptions, 'charge' | 'simulate'>,
  ) {
    return processPayment(message, { ...options, batches, ...charging }, stopping.signal, untilStop(draining))
  }

  async function take(message: PaymentMessage, delivery: Delivery, span: Span | undefined): Promise<AckDecision> {
    const { paymentId } = message
    for (let other = runs.get(paymentId); other; other = runs.get(paymentId)) {
      // If the other run fails, the delivery that began it logs the error.
      if ((await within(other, { signal: delivery.signal }).catch(() => undefined)) === 'settled') return 'ack'
      // After any other outcome this delivery is processed too: its message may be the retry that the other run scheduled.
      if (delivery.draining.aborted) return 'leave'
    }
    const own = run(message, delivery).finally(() => runs.delete(paymentId))
    runs.set(paymentId, own)
    const result = await own
    if (result) processed[result] += 1
    span?.setAttribute('cashflow.result', result ?? 'left')
    return result ? 'ack' : 'leave'
  }

  return {
    name: 'handler',
    loops: batches.loops,
    processed,
    verdicts: batches.verdicts,
    async start() {},
    /** Ends the runs that still wait for the database. Their leases expire, and another worker takes their payments. */
    async stop() {
      stopping.abort()
    },
    async handle(delivery) {
      const message = readDelivery(delivery)
      if (!message) {
        logger.error('message is not readable, rejected', { message_id: delivery.messageId, bytes: delivery.bytes })
        return 'reject'
      }
      const span = beginDelivery?.(delivery, message)
      if (span) message.span = traceparentOf(span)
      try {
        return await take(message, delivery, span)
      } catch (error) {
        if (span) markFailed(span, errorTypeOf(error))
        stopping.signal.throwIfAborted()
        // RabbitMQ delivers it again. Waiting on for the database would pile up the deliveries of lost channels.
        if (delivery.draining.aborted) return 'leave'
        // An ack would lose the message, and a requeue would fail again at once.
        logger.error('payment could not be processed, message rejected', { ...logFieldsOf(message), error })
        return 'reject'
      } finally {
        span?.end()
      }
    },
  }
}

/** How a payment is charged with the simulated provider. A simulated answer needs no permit, so it is released at once. */
function simulated(permit: Permit, simulator: Simulator): Pick<ProcessOptions, 'charge' | 'simulate'> {
  return {
    charge: simulator.interruptible(permit.charge),
    simulate(claim, retry) {
      const answer = simulator.answer(claim, retry)
      if (answer) permit.release()
      return answer
    },
  }
}

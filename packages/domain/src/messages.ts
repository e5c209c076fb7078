import type { PaymentEvent } from './events.ts'
import type { Payment } from './payment.ts'
import type { Topic } from './topics.ts'

/** A message about a payment, to be appended to the outbox. */
export interface NewPaymentMessage {
  /** A UUID that is the same in every delivery. Consumers recognise duplicates by it. */
  readonly messageId: string
  /** The payment's id. First deliveries of one payment's messages are in the order of their commits. */
  readonly key: string
  readonly topic: Topic
  /** JSON with the payment's id as `payment_id`. */
  readonly payload: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** True if it is an error that no queue is bound to the topic. */
  readonly mandatory: boolean
}

export interface MessageIds {
  /** A UUID that the caller makes once, before its first attempt to store the message. */
  readonly messageId: string
  /** The id of the request that caused the message, sent as the header `x-request-id`. */
  readonly requestId: string | undefined
  /** The place in a trace that the message continues, sent as the header `traceparent` (W3C Trace Context). */
  readonly traceparent?: string | undefined
}

/** Sends a new payment to a worker. */
export function createdMessage({ paymentId }: PaymentEvent, ids: MessageIds): NewPaymentMessage {
  return message('payment.created', paymentId, ids)
}

/** Sends a payment to a worker again. */
export function retryMessage(paymentId: string, ids: MessageIds): NewPaymentMessage {
  return message('payment.retry', paymentId, ids)
}

/** Notifies consumers that a payment is settled. */
export function outcomeMessage({ id, status, failureCode }: Payment, event: PaymentEvent, ids: MessageIds) {
  const { payload, ...rest } = message(event.type, id, ids)
  const failure = failureCode === null ? {} : { failure_code: failureCode }
  return { ...rest, payload: { ...payload, status, ...failure }, mandatory: false } satisfies NewPaymentMessage
}

function message(topic: Topic, paymentId: string, ids: MessageIds): NewPaymentMessage {
  return {
    messageId: ids.messageId,
    key: paymentId,
    topic,
    payload: { payment_id: paymentId },
    headers: headersOf(ids),
    mandatory: true,
  }
}

function headersOf({ requestId, traceparent }: MessageIds): Record<string, string> {
  const headers: Record<string, string> = {}
  if (requestId !== undefined) headers['x-request-id'] = requestId
  if (traceparent !== undefined) headers.traceparent = traceparent
  return headers
}

import { isUuid, type NewPaymentMessage, retryMessage } from '@cashflow/domain'
import type { Delivery } from '@cashflow/messaging'
import { isRequestId, type LogFields, uuidv7 } from '@cashflow/runtime'
import { readTraceparent, traceIdOf } from '@cashflow/tracing'

// Messages of Cashflow have about 50 bytes. A longer one is not parsed, nor kept in memory until its payment is settled.
const BODY_BYTES_MAX = 4_096

/** A message that sends a payment to a worker. The payment's row decides what the worker does. */
export interface PaymentMessage {
  paymentId: string
  messageId: string | undefined
  /** The id of the request that created the payment. */
  requestId: string | undefined
  /** The place of that request in its trace. Messages that this one leads to continue it. */
  traceparent?: string | undefined
  /** The place of the span of the message's processing. Undefined if it is not recorded. */
  span?: string | undefined
}

/** Reads `{"payment_id": "…"}`, or a bare payment id as an operator may publish it by hand. Undefined for other bodies. */
export function readDelivery({
  body,
  messageId,
  headers,
}: Pick<Delivery, 'body' | 'messageId' | 'headers'>): PaymentMessage | undefined {
  if (body.length > BODY_BYTES_MAX) return undefined
  const text = body.toString('utf8').trim()
  const paymentId = isUuid(text) ? text : readJson(text)
  if (paymentId === undefined) return undefined
  const requestId = headers['x-request-id']
  return {
    paymentId: paymentId.toLowerCase(),
    messageId,
    requestId: isRequestId(requestId) ? requestId : undefined,
    traceparent: readTraceparent(headers.traceparent),
  }
}

function readJson(text: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // The caller logs it.
  }
  const id = typeof value === 'object' && value !== null && 'payment_id' in value ? value.payment_id : value
  return typeof id === 'string' && isUuid(id) ? id : undefined
}

/** A new message that sends the same payment to a worker. */
export function retryOf({ paymentId, requestId, traceparent }: PaymentMessage): NewPaymentMessage {
  return retryMessage(paymentId, { messageId: uuidv7(), requestId, traceparent })
}

/** The fields of every log line about the message. */
export function logFieldsOf({ paymentId, messageId, requestId, traceparent }: PaymentMessage): LogFields {
  const fields = { payment_id: paymentId, message_id: messageId, request_id: requestId }
  return traceparent === undefined ? fields : { ...fields, trace_id: traceIdOf(traceparent) }
}

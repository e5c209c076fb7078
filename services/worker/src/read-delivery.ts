import type { Delivery } from '@cashflow/messaging'
import { isRequestId } from '@cashflow/runtime'

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

// Ours have some fifty. Whatever else was published is not parsed, nor kept until its payment is settled.
const BODY_BYTES_MAX = 4_096

export interface PaymentMessage {
  paymentId: string
  messageId: string | undefined
  requestId: string | undefined
}

/** Reads `{"payment_id": "…"}`, or a bare payment id as an operator may publish it by hand; undefined for all else. */
export function readDelivery({
  body,
  messageId,
  headers,
}: Pick<Delivery, 'body' | 'messageId' | 'headers'>): PaymentMessage | undefined {
  if (body.length > BODY_BYTES_MAX) return undefined
  const text = body.toString('utf8').trim()
  const paymentId = UUID.test(text) ? text : readJson(text)
  if (paymentId === undefined) return undefined
  const requestId = headers['x-request-id']
  return {
    paymentId: paymentId.toLowerCase(),
    messageId,
    requestId: isRequestId(requestId) ? requestId : undefined,
  }
}

function readJson(text: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // Poison, and the caller says so.
  }
  const id = typeof value === 'object' && value !== null && 'payment_id' in value ? value.payment_id : value
  return typeof id === 'string' && UUID.test(id) ? id : undefined
}

import type { Delivery } from '@cashflow/messaging'

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

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
  const text = body.toString('utf8').trim()
  const paymentId = UUID.test(text) ? text : readJson(text)
  if (paymentId === undefined) return undefined
  const requestId = headers['x-request-id']
  return {
    paymentId: paymentId.toLowerCase(),
    messageId,
    requestId: typeof requestId === 'string' ? requestId : undefined,
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

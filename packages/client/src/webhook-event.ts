import { amountText, type CreatedPayment, type EventType } from './payment.ts'

/** A payment as the event left it. */
export interface WebhookData extends Omit<CreatedPayment, 'metadata'> {
  /** The provider's reason, or `canceled`, of a payment that is FAILED. */
  readonly failure_code?: string
  /** Counts the events of one payment from 1. */
  readonly sequence: number
  /** The event before it, of the same payment. If you have not stored it, it is on its way, or you missed it. */
  readonly previous_event_id: string | null
  /** The `Request-Id` of the request that created the payment. */
  readonly request_id: string | null
  readonly api_version: 'v1'
}

/** An event of a payment, as an endpoint gets it. */
export interface PaymentWebhook {
  /** The header `webhook-id`: the event's id, the same for each attempt. Handle each id once. */
  readonly id: string
  readonly type: EventType
  /** When the event happened (RFC 3339). */
  readonly timestamp: string
  readonly data: WebhookData
}

/** A request that checks your receiver. Store it and order it as every event. Then there is nothing to do for it. */
export interface CheckWebhook {
  readonly id: string
  readonly type: 'webhook.check' | `webhook.check.${string}`
  readonly timestamp: string
  readonly data: {
    /** The id of no payment. */
    readonly id: string
    readonly sequence: number
    readonly previous_event_id: string | null
    readonly [member: string]: unknown
  }
}

/** A later version of the API may send events of other types: ignore a `type` that you do not know. */
export type WebhookEvent = PaymentWebhook | CheckWebhook

/**
 * Reads a body whose signature is verified. Amounts become text, as in all of the client.
 *
 * @throws Error for a body that is no event
 */
export function readWebhookEvent(id: string, json: string): WebhookEvent {
  const body: unknown = JSON.parse(json)
  if (!isObject(body) || typeof body.type !== 'string' || typeof body.timestamp !== 'string' || !isObject(body.data))
    throw new TypeError('It has no type, timestamp and data.')
  const { type, timestamp, data } = body
  const { amount, amount_minor } = data
  const isAmount = typeof amount === 'number' && typeof amount_minor === 'number'
  const shown = isAmount ? { ...data, amount: amountText({ amount, amount_minor }) } : data
  return { id, type, timestamp, data: shown } as unknown as WebhookEvent
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

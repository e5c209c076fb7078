import type { Payment, PaymentEvent } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import type { NewPaymentMessage } from './payment-store.ts'

/** The news that a payment is settled. Whoever wants to hear of it binds a queue; nobody has to. */
export function outcomeMessage(
  { id, status, failureCode }: Payment,
  { type }: PaymentEvent,
  requestId: string | undefined,
): NewPaymentMessage {
  return {
    messageId: uuidv7(),
    topic: type,
    payload: { payment_id: id, status, ...(failureCode === null ? {} : { failure_code: failureCode }) },
    headers: requestId === undefined ? {} : { 'x-request-id': requestId },
    mandatory: false,
  }
}

import type { Payment, PaymentEvent } from '@cashflow/domain'
import type { NewMessage } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'

/** The news that a payment is settled. Whoever wants to hear of it binds a queue; nobody has to. */
export function outcomeMessage(
  { id, status, failureCode }: Payment,
  { type }: PaymentEvent,
  requestId: string | undefined,
): NewMessage {
  return {
    messageId: uuidv7(),
    key: id,
    topic: type,
    payload: { payment_id: id, status, ...(failureCode === null ? {} : { failure_code: failureCode }) },
    headers: requestId === undefined ? {} : { 'x-request-id': requestId },
    mandatory: false,
  }
}

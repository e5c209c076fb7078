import type { DeliveryStatus } from '@cashflow/db'
import { eventId } from '@cashflow/domain'
import type { ApiUnderTest } from '../start-api.ts'

/** Stores a delivery of a payment's first event, as the webhooks service does, with one attempt that has failed. */
export async function storeDelivery(
  { db }: Pick<ApiUnderTest, 'db'>,
  endpointId: string,
  paymentId: string,
  status: DeliveryStatus = 'succeeded',
) {
  const { merchant_id } = await db
    .selectFrom('webhook_endpoints')
    .select('merchant_id')
    .where('id', '=', endpointId)
    .executeTakeFirstOrThrow()
  const attempt = { status: 500, error: 'HTTP status 500' }
  const { id } = await db
    .insertInto('webhook_deliveries')
    .values({
      ...{ endpoint_id: endpointId, merchant_id, payment_id: paymentId, sequence: 1, type: 'payment.created' },
      ...{ event_at: new Date(), status, attempts: 1, last_attempt_at: new Date() },
      ...{ last_status: attempt.status, last_error: attempt.error },
      finished_at: status === 'succeeded' || status === 'expired' ? new Date() : null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('webhook_attempts')
    .values({
      endpoint_id: endpointId,
      delivery_id: id,
      at: new Date(),
      duration_ms: 12,
      answer: 'out of order',
      ...attempt,
    })
    .execute()
  return { id, eventId: eventId(paymentId, 1) }
}

import { type Kysely, sql } from 'kysely'
import { isOfMerchant } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import { PAYMENT_COLUMNS_OF_EVENT, STORED_COLUMNS, type StoredEvent, toStoredEvent } from './stored-event.ts'

/**
 * Finds all committed events of a payment, in the order of their sequence: two, and one for each time that an operator
 * changed its reference. None if the merchant has no such payment.
 */
export async function findEvents(
  db: Kysely<Tables>,
  { merchantId, paymentId }: { merchantId: string; paymentId: string },
): Promise<StoredEvent[]> {
  const rows = await db
    .selectFrom('payment_events as e')
    .leftJoin('payments as p', (on) => on.onRef('p.id', '=', 'e.payment_id').on(isOfMerchant(sql.val(merchantId), 'p')))
    .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
    .select(PAYMENT_COLUMNS_OF_EVENT)
    .where('e.payment_id', '=', paymentId)
    .where(isOfMerchant(sql.val(merchantId), 'e'))
    .orderBy('e.sequence')
    .execute()
  return rows.map(toStoredEvent)
}

import type { Kysely } from 'kysely'
import { PAYMENT_COLUMNS_OF_EVENT, STORED_COLUMNS, type StoredEvent, toStoredEvent } from '../events/stored-event.ts'
import type { Tables } from '../tables.ts'

/** Reads one event. Undefined if it was pruned. */
export async function readEvent(
  db: Kysely<Tables>,
  { paymentId, sequence }: { paymentId: string; sequence: number },
): Promise<StoredEvent | undefined> {
  const row = await db
    .selectFrom('payment_events as e')
    .leftJoin('payments as p', 'p.id', 'e.payment_id')
    .select(STORED_COLUMNS.map((column) => `e.${column}` as const))
    .select(PAYMENT_COLUMNS_OF_EVENT)
    .where('e.payment_id', '=', paymentId)
    .where('e.sequence', '=', sequence)
    .executeTakeFirst()
  return row && toStoredEvent(row)
}
